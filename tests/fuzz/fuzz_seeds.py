"""One small good file of every kind that medseg reads, in a folder of its own with what belongs beside it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
import tifffile
from dicom_phantom import grid, write_enhanced, write_series
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless
from small_labels import MODEL, some_labels
from small_series import small_series
from tiny_dataset import write_msd

from medseg.io.formats import WRITERS, Labeled, write

SHAPE = (12, 13, 14)
VOXELS = np.random.default_rng(1).integers(0, 999, SHAPE).astype(np.int16)
NETWORK = {"features": [4, 8], "strides": [[1, 1, 1], [2, 2, 2]]}


@dataclass(frozen=True)
class Seed:
    """A good file and what surrounds it."""

    name: str
    folder: Path  # given to the verbs as a whole
    damaged: str  # the file that is damaged, relative to the folder
    role: str  # which verbs read it: a key of `VERBS`
    has_checksum: bool = False  # damage of its data cannot go unnoticed
    has_length: bool = False  # nor can the loss of its end


def make_seeds(root: Path) -> list[Seed]:
    """Write them all."""
    seeds = []
    for name, (make, role, has_checksum, has_length) in MAKERS.items():
        folder = root / name.replace("/", "-")
        folder.mkdir(parents=True)
        seeds.append(Seed(name, folder, make(folder), role, has_checksum, has_length))
    return seeds


def _nifti(name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        nib.save(nib.Nifti1Image(VOXELS, np.diag([1.0, 1.5, 2.0, 1.0])), folder / name)
        return name

    return make


def _itk(name: str, compress: bool = False) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(folder / name), compress)
        return name

    return make


def _image(name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        if name.endswith(".tif"):
            tifffile.imwrite(folder / name, VOXELS.astype(np.uint16), compression="zlib", metadata={"axes": "ZYX"})
        else:
            Image.fromarray(VOXELS[0].astype(np.uint8)).save(folder / name)
        return name

    return make


def _series(syntax: str | None = None) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        paths = write_series(folder, grid(slices=3, columns=64, rows=64), signed=False)
        for path in paths:
            dataset = pydicom.dcmread(path)
            if syntax == JPEGLosslessSV1:
                frame = imagecodecs.jpeg8_encode(dataset.pixel_array, lossless=True, bitspersample=16)
                dataset.PixelData = encapsulate([frame])
                dataset.file_meta.TransferSyntaxUID = syntax
                dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
            elif syntax:
                dataset.compress(syntax, generate_instance_uid=False)
            dataset.save_as(path)
        return paths[1].name

    return make


def _enhanced(folder: Path) -> str:
    write_enhanced(folder / "enhanced.dcm", grid(slices=3))
    return "enhanced.dcm"


def _labels(format: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        source, geometry = small_series(folder / "scan")
        (folder / "labels").mkdir()
        write(format, Labeled(some_labels(geometry), source, MODEL), folder / "labels")
        return f"labels/{WRITERS[format].file_name}"

    return make


def _dataset(damaged: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        write_msd(folder / "data", cases=2)
        return f"data/{damaged}"

    return make


def _yaml(name: str, text: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        write_msd(folder / "data", cases=2)
        (folder / name).write_text(text)
        return name

    return make


def _package(folder: Path) -> Path:
    from networks_for_tests import tiny_card

    from medseg.models.card import NetworkCard
    from medseg.models.package import write_package
    from medseg.models.registry import build_network

    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=NETWORK)
    card = tiny_card(network=NetworkCard(name="unet", arguments=NETWORK))
    return write_package(folder / "package", card, network.state_dict()).folder


def _in_package(damaged: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        _package(folder)
        return f"package/{damaged}"

    return make


def _package_zip(folder: Path) -> str:
    package = _package(folder)
    with zipfile.ZipFile(folder / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.iterdir()):
            archive.write(path, path.name)
            path.unlink()
    package.rmdir()
    return "model.zip"


def _scan_zip(folder: Path) -> str:
    _nifti("a.nii")(folder)
    with zipfile.ZipFile(folder / "scans.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "a.nii", "inner/a.nii")
    (folder / "a.nii").unlink()
    return "scans.zip"


def _evaluation(damaged: str) -> Callable[[Path], str]:
    rows = ["case_id,class,metric,value"]
    rows += [f"case{n},liver,{metric},{0.8 + 0.01 * n}" for n in range(8) for metric in ("dice", "iou")]

    def make(folder: Path) -> str:
        for name in ("one", "two"):
            (folder / name).mkdir()
            (folder / name / "per_case.csv").write_text("\n".join(rows) + "\n")
            (folder / name / "summary.json").write_text(json.dumps({"cases": 8, "classes": {}}))
        return f"one/{damaged}"

    return make


TRAIN = "epochs: 2\noptimizer: {name: adamw, learning_rate: 0.001}\nseed: 3\naugment: {gamma: 0.2, invert: 0.1}\n"

# Name: how it is made, which verbs read it, whether its data have a checksum, whether its length tells.
MAKERS: dict[str, tuple[Callable[[Path], str], str, bool, bool]] = {
    "nifti": (_nifti("a.nii"), "scan", False, True),
    "nifti.gz": (_nifti("a.nii.gz"), "scan", True, True),
    "nrrd": (_itk("a.nrrd"), "scan", False, True),
    "nrrd-gzip": (_itk("b.nrrd", True), "scan", True, True),
    "metaimage": (_itk("a.mha"), "scan", False, True),
    "metaimage-zlib": (_itk("b.mha", True), "scan", True, True),
    "metaimage-header": (_itk("c.mhd"), "scan", False, False),
    "png": (_image("a.png"), "image", True, True),
    "jpeg": (_image("a.jpg"), "image", False, True),
    "tiff": (_image("a.tif"), "image", False, True),
    "dicom": (_series(), "dicom", False, True),
    "dicom-rle": (_series(RLELossless), "dicom", False, True),
    "dicom-jpeg-ls": (_series(JPEGLSLossless), "dicom", False, True),
    "dicom-jpeg-2000": (_series(JPEG2000Lossless), "dicom", False, True),
    "dicom-jpeg-lossless": (_series(JPEGLosslessSV1), "dicom", False, True),
    "dicom-enhanced": (_enhanced, "dicom", False, True),
    "dicom-seg": (_labels("dicom-seg"), "labels", False, True),
    "rtstruct": (_labels("rtstruct"), "contours", False, False),
    "dicom-sr": (_labels("sr"), "report", False, False),
    "labels.nrrd": (_labels("nrrd"), "labels", False, False),
    "dataset.json": (_dataset("dataset.json"), "dataset", False, False),
    "dataset-scan": (_dataset("imagesTr/case_00.nii.gz"), "dataset", True, True),
    "train.yaml": (_yaml("train.yaml", TRAIN), "config", False, False),
    "model.yaml": (_in_package("model.yaml"), "package", False, False),
    "safetensors": (_in_package("weights.safetensors"), "package", True, True),
    "package.zip": (_package_zip, "package", True, True),
    "scans.zip": (_scan_zip, "zip", True, True),
    "per_case.csv": (_evaluation("per_case.csv"), "evaluation", False, False),
    "summary.json": (_evaluation("summary.json"), "evaluation", False, False),
}
