"""Key images: the slices on which each class is largest, with its outline drawn in, as DICOM Secondary Capture.

For viewers that show nothing else of a result. The pixels are an illustration; nothing can be measured on them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from medseg.io.dicom.header import lenient
from medseg.io.dicom_results.coding import SOFTWARE_VERSION, long_string, notice, serial_number, title
from medseg.io.dicom_results.gray_slices import GraySlices
from medseg.io.dicom_results.identity import PROVISIONAL, derived_uid, digest_of_array, write_sealed
from medseg.io.dicom_results.source import read_source
from medseg.types import LabelClass, LabelMap, LabelTable, ModelIdentity, Source

SERIES_NUMBER = 9004
SHORTEST_SIDE = 512  # pixels an image is enlarged to
LINE = 20  # height of a line of the legend, pixels
INK, PAPER = (235, 235, 235), (0, 0, 0)


def key_image_path(path: Path, number: int) -> Path:
    """Name of the n-th key image: ``labels.key.dcm`` becomes ``labels.key-01.dcm``."""
    return path.with_name(f"{path.stem}-{number:02d}{path.suffix}")


def write_key_images(labels: LabelMap, source: Source, path: Path, *, model: ModelIdentity) -> list[Path]:
    """Write one key image for each class found, on the slice where most of it is.

    Classes that are largest on the same slice share an image, and every image shows every class on its slice. Where
    nothing was found, one image of the middle slice says so. Gray levels have the window of the case's preview.
    """
    series = read_source(labels.geometry, source)
    array = series.on_slices(labels)
    slices = _key_slices(array, labels.table)
    gray = GraySlices.from_source(series, source)
    series_uid = derived_uid("key images", series.first.SeriesInstanceUID, model.hash, digest_of_array(labels.array))
    written = []
    for number, k in enumerate(slices, start=1):
        header, target = series.instance_of(k), key_image_path(path, number)
        drawn, pixel_spacing = _draw(labels, array, gray.levels(k), k, model)
        with lenient():
            image = hd.sc.SCImage.from_ref_dataset(
                ref_dataset=header,
                pixel_array=drawn,
                photometric_interpretation="RGB",
                bits_allocated=8,
                coordinate_system="PATIENT",
                series_instance_uid=PROVISIONAL["SeriesInstanceUID"],
                series_number=SERIES_NUMBER,
                sop_instance_uid=PROVISIONAL["SOPInstanceUID"],
                instance_number=number,
                manufacturer="medseg",
                pixel_spacing=(pixel_spacing, pixel_spacing),
                patient_orientation=tuple(_direction(axis) for axis in series.planes[k].axes.T),
                transfer_syntax_uid=pydicom.uid.ExplicitVRLittleEndian,
                series_description=title(model),
                manufacturer_model_name=long_string(model.name),
                software_versions=SOFTWARE_VERSION,
                device_serial_number=serial_number(model),
                specific_character_set="ISO_IR 192",
            )
        image.Laterality = header.get("Laterality") or ""
        image.BurnedInAnnotation = "NO"  # the standard's word for: nothing in the pixels tells who the patient is
        image.SourceImageSequence = [series.reference_to(k)]
        write_sealed(image, header, target, lambda _: None, series_uid=series_uid)
        written.append(target)
    return written


def _key_slices(array: npt.NDArray[Any], table: LabelTable) -> list[int]:
    areas = {entry.value: (array == entry.value).sum(axis=(0, 1)) for entry in table}
    slices = sorted({int(area.argmax()) for area in areas.values() if area.any()})
    return slices or [array.shape[2] // 2]


def _draw(
    labels: LabelMap, array: npt.NDArray[Any], gray: npt.NDArray[np.uint8], k: int, model: ModelIdentity
) -> tuple[npt.NDArray[np.uint8], float]:
    """Draw one slice with outlines and legend: (rows, columns, 3), and its pixel spacing in mm."""
    x, y, _ = labels.geometry.spacing
    fine = min(min(x, y), min(gray.shape[0] * y, gray.shape[1] * x) / SHORTEST_SIDE)
    size = (round(gray.shape[1] * x / fine), round(gray.shape[0] * y / fine))
    large = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC))
    classes = array[:, :, k].T.astype(np.int32)
    regions = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST))
    drawn = np.repeat(large[..., None], 3, axis=2)
    shown = [entry for entry in labels.table if (classes == entry.value).any()]
    for entry in shown:
        inside = regions == entry.value
        drawn[inside & ~ndimage.binary_erosion(inside, iterations=2)] = entry.color
    return np.concatenate([drawn, _legend(shown, size[0], k, array.shape[2], model)]), fine


def _legend(shown: list[LabelClass], width: int, k: int, slices: int, model: ModelIdentity) -> npt.NDArray[np.uint8]:
    lines: list[tuple[tuple[int, int, int], str]] = [(entry.color, entry.name) for entry in shown]
    lines = lines or [(INK, "nothing found")]
    lines.append((INK, f"slice {k + 1} of {slices}, medseg {model.name} {model.version}, {notice(model)}"))
    strip = Image.new("RGB", (width, LINE * len(lines) + 6), PAPER)
    draw = ImageDraw.Draw(strip)
    for number, (color, text) in enumerate(lines):
        draw.text((6, 3 + number * LINE), text, fill=color, font=_font())
    return np.asarray(strip)


@cache
def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which knows every European alphabet; Pillow's own does not."""
    return ImageFont.truetype(Path(__file__).with_name("DejaVuSans.ttf"), 14)


def _direction(axis: npt.NDArray[np.float64]) -> str:
    """Letter of the patient's side (DICOM's PatientOrientation) an LPS direction points to most."""
    nearest = int(np.abs(axis).argmax())
    return ("LR", "PA", "HF")[nearest][0 if axis[nearest] > 0 else 1]
