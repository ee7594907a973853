"""The voxels that the contours of a structure enclose, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medseg.counted import counted
from medseg.errors import FormatLimitation, GeometryMismatch, InputError
from medseg.io.dicom.plane import LPS
from medseg.io.dicom_results.nesting import Combined, combine
from medseg.io.dicom_results.structures import AGAIN, Structure
from medseg.types import Geometry

# How far a contour may lie from the slice it is drawn on, and lean out of it, as a fraction of the slice spacing.
OFF_SLICE = 0.25
ITS_SCAN = "Give the series it was drawn on."


@dataclass
class _Placed:
    """The contours of a structure by slice, and how many are not as they should be."""

    on_slices: dict[int, list[npt.NDArray[np.float64]]] = field(default_factory=dict)
    outside: int = 0
    open_lines: int = 0
    named: int = 0  # say which image they were drawn on
    foreign: int = 0  # were drawn on images that are not here
    misplaced: int = 0  # lie on another slice than the image they name


@dataclass(frozen=True, eq=False)
class Enclosed:
    """The voxels of a structure, and what may be wrong with its contours."""

    mask: npt.NDArray[np.bool_]  # (X, Y, Z)
    warnings: tuple[str, ...]
    named: int  # contours that name an image they were drawn on
    foreign: int  # of these, the ones whose images are not among the scan's


def enclosed(
    structure: Structure, geometry: Geometry, path: Path, slices_of: Mapping[str, frozenset[int]] | None = None
) -> Enclosed:
    """Find the voxels of a structure.

    - `slices_of`: slices of the grid that each image is, by its UID; None where that is not known.
    """
    name = structure.entry.name
    placed = _Placed()
    for contour in structure.contours:
        if not str(contour.get("ContourGeometricType")).startswith("CLOSED"):
            placed.open_lines += 1
            continue
        voxels = geometry.to_voxel(_points(contour, name, path) @ LPS)
        k = round(float(np.median(voxels[:, 2])))
        if np.abs(voxels[:, 2] - k).max() > OFF_SLICE:
            raise FormatLimitation(
                f"a contour of '{name}' does not lie on a slice of the scan", where=path, fix=ITS_SCAN
            )
        if 0 <= k < geometry.shape[2]:
            placed.on_slices.setdefault(k, []).append(voxels[:, :2])
        else:
            placed.outside += 1
        named = _named(contour)
        if named and slices_of is not None:
            known = [slices_of[uid] for uid in named if uid in slices_of]
            placed.named += 1
            placed.foreign += not known
            placed.misplaced += bool(known) and not any(k in slices for slices in known)
    if placed.outside and not placed.on_slices:
        raise GeometryMismatch(f"'{name}' lies outside the scan", where=path, fix=ITS_SCAN)
    mask = np.zeros(geometry.shape, dtype=bool)
    combined = {k: combine(contours, geometry.shape[:2]) for k, contours in placed.on_slices.items()}
    for k, one in combined.items():
        mask[:, :, k] = one.inside
    return Enclosed(mask, tuple(_warnings(name, placed, combined)), placed.named, placed.foreign)


def foreign_images(name: str, contours: int) -> str:
    """Warn of contours of a structure on images that are not the scan's."""
    return _counted(
        contours,
        name,
        "was drawn on an image that is not among the scan's",
        "were drawn on images that are not among the scan's",
    )


def _named(contour: Dataset) -> list[str]:
    """UIDs of the images a contour says it was drawn on."""
    return [str(image.get("ReferencedSOPInstanceUID")) for image in contour.get("ContourImageSequence") or ()]


def _points(contour: Dataset, name: str, path: Path) -> npt.NDArray[np.float64]:
    """Corners of a contour, (N, 3), mm, LPS+."""
    try:
        moved = bool(np.any(np.asarray(contour.get("ContourOffsetVector") or 0, dtype=np.float64)))
        data = contour.ContourData
        if isinstance(data, bytes):  # longer than an element of explicit kind can state, so of none
            data = data.decode("ascii").split("\\")
        points = np.asarray(data, dtype=np.float64).reshape(-1, 3)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError(f"a contour of '{name}' has no valid points", where=path, fix=AGAIN) from error
    if not len(points) or not np.isfinite(points).all():
        raise InputError(f"a contour of '{name}' has no valid points", where=path, fix=AGAIN)
    if moved:
        raise FormatLimitation(
            f"a contour of '{name}' is to be moved by a Contour Offset Vector, whose direction DICOM never defined",
            where=path,
            fix="Export it again without, with the contours on their slices.",
        )
    return points


def _warnings(name: str, placed: _Placed, combined: Mapping[int, Combined]) -> Iterable[str]:
    used = sorted(combined)
    twice, joined, edging, crossing = (
        sum(getattr(one, what) for one in combined.values()) for what in ("twice", "joined", "edging", "crossing")
    )
    if placed.open_lines:
        yield f"Points and open lines of '{name}' enclose nothing and were skipped ({placed.open_lines})"
    if placed.outside:
        yield _counted(
            placed.outside, name, "lies outside the scan and was cut off", "lie outside the scan and were cut off"
        )
    if placed.misplaced:
        yield _counted(
            placed.misplaced,
            name,
            "lies on another slice than the image it names; it was taken where it lies",
            "lie on other slices than the images they name; they were taken where they lie",
        )
    if twice:
        yield _counted(twice, name, "is given twice and was taken once", "are given twice and were taken once")
    if joined:
        yield f"{joined} contours of '{name}' overlap each other in part and were taken as one area"
    if edging:
        yield _counted(
            edging,
            name,
            "crosses the one around it by a pixel and was taken as a hole in it",
            "cross the ones around them by a pixel and were taken as holes in them",
        )
    if crossing:
        yield _counted(
            crossing,
            name,
            "crosses itself; check the voxels where it does",
            "cross themselves; check the voxels where they do",
        )
    if not used:
        yield f"'{name}' has no closed contours and is empty"
    elif not any(one.inside.any() for one in combined.values()):
        yield f"The contours of '{name}' enclose the center of no voxel: it is empty"
    elif gaps := used[-1] - used[0] + 1 - len(used):
        yield f"'{name}' has no contour on {gaps} of the slices between its first and its last"


def _counted(number: int, name: str, one: str, several: str) -> str:
    """Say something of one or of several contours of a structure."""
    return f"{counted(number, 'contour')} of '{name}' {one if number == 1 else several}"
