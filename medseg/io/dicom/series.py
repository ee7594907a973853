"""Reads one volume of a DICOM series as a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.io.dicom.alternating import MAYBE, REFUSED, WHAT, alternation
from medseg.io.dicom.completeness import nth
from medseg.io.dicom.compressed import is_compressed
from medseg.io.dicom.frame import Frame, frames_of
from medseg.io.dicom.geometry import Layout, lay_out
from medseg.io.dicom.header import lenient, read_header
from medseg.io.dicom.interleaved import APART
from medseg.io.dicom.jump import jump_warnings
from medseg.io.dicom.pixels import read_pixels
from medseg.io.dicom.suv import suv_factor
from medseg.io.dicom.value_checks import hounsfield_warnings
from medseg.io.dicom.value_unit import value_unit
from medseg.io.dicom.volume import Volume
from medseg.io.dicom.volumes import is_new_in_each, sort_into_volumes
from medseg.isolation.apart import apart
from medseg.types.scan import FoundScan, Scan, Source

WAY_OUT = "Get the complete series again, or allow incomplete series (--allow-incomplete)."


def volume_of(found: FoundScan) -> Volume:
    """Read the headers of a found series again and pick its volume; an `InputError` where the files have changed."""
    frames: list[Frame] = []
    for path in found.files:
        frames += frames_of(read_header(path))
    if not frames:
        raise InputError(
            "a DICOM scan needs at least one file", where=found.case_id, fix="Give the files of one series."
        )
    series = {str(frame.header.get("SeriesInstanceUID")) for frame in frames}
    where = found.files[0] if len(found.files) == 1 else found.files[0].parent
    if len(series) > 1 and not is_new_in_each(frames, "SeriesInstanceUID"):
        raise InputError("its files belong to several series", where=where, fix="Give the files of one series.")
    if found.volume is not None:
        key, _, distinguished = found.volume.partition(" ")
        note = "one of several volumes of its series" + (f", distinguished by {distinguished}" if distinguished else "")
        # Files of single images are just those of the volume; multi-frame files may hold others beside it.
        volumes = [v for v in (*sort_into_volumes(frames), Volume(tuple(frames))) if v.key == key][:1]
        volumes = [replace(v, distinguished_by=(distinguished,), notes=(note, *v.notes)) for v in volumes]
    else:
        volumes = sort_into_volumes(frames)
    if len(volumes) != 1:
        raise InputError(
            f"it holds {len(volumes)} volumes instead of one, so its files have changed",
            where=where,
            fix="Run the command again; where a manifest lists it, make that again, or correct its column volume.",
        )
    if volumes[0].refusal is not None:
        raise InputError(volumes[0].refusal.what, where=where, fix=volumes[0].refusal.fix)
    return volumes[0]


def check_complete(found: FoundScan, *, allow_incomplete: bool) -> tuple[str, ...]:
    """Return what may be missing of a volume, as warnings; an `InputError` where it surely is, unless allowed."""
    if found.incomplete is None:
        return found.warnings
    if not allow_incomplete:
        where = found.files[0] if len(found.files) == 1 else found.files[0].parent
        raise InputError(f"part of it seems lost: {found.incomplete}", where=where, fix=WAY_OUT)
    return (f"Part of it seems lost: {found.incomplete}; read without it, as allowed", *found.warnings)


def read_series(found: FoundScan, *, allow_uneven: bool = False, allow_incomplete: bool = False) -> Scan:
    """Read a volume of a DICOM series: where its header says it lies, or not at all.

    Array axes are columns, rows, slices; slices come in the order of their places along the normal.
    """
    warnings = check_complete(found, allow_incomplete=allow_incomplete)
    if compressed := next((path for path in found.files if is_compressed(path)), None):
        return _read_compressed(compressed, found, allow_uneven, warnings)
    return _read_found(found, allow_uneven, warnings)


@apart
def _read_compressed(_path: Path, found: FoundScan, allow_uneven: bool, warnings: tuple[str, ...]) -> Scan:
    """Read what codecs decode; some of them are written in C, and crash."""
    return _read_found(found, allow_uneven, warnings)


def _read_found(found: FoundScan, allow_uneven: bool, warnings: tuple[str, ...]) -> Scan:
    with lenient():
        return _read(volume_of(found), found.case_id, allow_uneven, warnings)


def _read(volume: Volume, case_id: str, allow_uneven: bool, warnings: tuple[str, ...]) -> Scan:
    layout = lay_out(volume.frames, allow_uneven=allow_uneven)
    ordered = [volume.frames[i] for i in layout.order]
    pixels = read_pixels(ordered, where=case_id)
    array = pixels.array
    mixed = (*_alternating(array, ordered[0]), *jump_warnings(array))
    no_units = hounsfield_warnings(ordered, array)
    factor, suv_warnings, suv_notes = suv_factor(ordered)
    if factor != 1:
        array = np.multiply(array, np.float32(factor), dtype=np.float32)
    if layout.places is not None:
        array = _resample(array, layout)
    header = ordered[0].header
    frame_of_reference = header.get("FrameOfReferenceUID")
    source = Source(
        "dicom",
        _files(ordered),
        study_uid=_uid(header.get("StudyInstanceUID")),
        series_uid=_uid(header.get("SeriesInstanceUID")),
        frame_of_reference_uid=_uid(frame_of_reference),
        body_part=str(header.get("BodyPartExamined") or "").strip() or None,
        laterality=_laterality(header),
        value_unit=value_unit(ordered, has_suv=not suv_warnings, has_hu=not no_units),
        warnings=(
            *warnings,
            *volume.warnings,
            *layout.warnings,
            *pixels.warnings,
            *mixed,
            *no_units,
            *suv_warnings,
        ),
        notes=(*volume.notes, *layout.notes, *pixels.notes, *suv_notes),
        slice_places=layout.frame_places,
    )
    return Scan(array[np.newaxis], layout.geometry, str(header.get("Modality") or "") or None, source)


def _alternating(array: npt.NDArray[Any], first: Frame) -> tuple[str, ...]:
    """Warn of slices that seem to be of several acquisitions; an `InputError` where they surely are."""
    period, ratio = alternation(array)
    if period > 1 and ratio >= REFUSED:
        where = first.file if first.index is not None else first.file.parent
        raise InputError(WHAT.format(nth(period)), where=where, fix=APART)
    return (MAYBE.format(nth(period)),) if period > 1 else ()


def _files(ordered: Sequence[Frame]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(frame.file for frame in ordered))


def _laterality(header: Mapping[str, Any]) -> str | None:
    """Side of the body: of the image where stated, else of the series."""
    return next(
        (side for key in ("ImageLaterality", "Laterality") if (side := str(header.get(key) or "").strip())), None
    )


def _uid(value: object) -> str | None:
    return str(value) if value else None


def _resample(array: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Interpolate linearly between uneven slices, at the places of the even ones."""
    places = layout.places
    assert places is not None
    out = np.empty((len(places), *array.shape[:2][::-1]), dtype=np.float32).transpose(2, 1, 0)
    for k, place in enumerate(places):
        below = min(int(place), array.shape[2] - 2)
        weight = np.float32(place - below)
        out[:, :, k] = array[:, :, below] * (1 - weight) + array[:, :, below + 1] * weight
    return out
