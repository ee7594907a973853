"""The proof of what was written: the file is read back and compared with the labels it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medseg.errors import FormatLimitation
from medseg.io.dicom.geometry import SAME_PLACE
from medseg.io.dicom.header import read_object
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom.plane import Plane, planes_of
from medseg.io.dicom_results.seg_frames import SegFile, classes_of
from medseg.io.dicom_results.source import SourceSeries
from medseg.types import AnyLabels, OverlappingLabels
from medseg.types.overlapping import class_counts
from medseg.types.run import Measured

WHOLE = 255  # what stands for all of a voxel while fractions are compared
FIX = "Write another format, and report it with the file."


@dataclass(frozen=True, eq=False)
class _OwnFrames:
    """How much of each voxel belongs to a class, by the caller's own arrays: 1, or 0 to 255 of its probability."""

    array: npt.NDArray[Any]  # on the slices of the series, (slices, rows, columns), which is quicker to go through
    values: list[int]  # of the classes
    values_of: dict[int, tuple[int, ...]]  # of the array, that are of each class
    probabilities: npt.NDArray[np.float32] | None
    slices: tuple[int, ...] | None  # label slice of each slice of the series

    def voxels(self, value: int, k: int) -> npt.NDArray[Any]:
        """One class on one slice, shape (rows, columns)."""
        if self.probabilities is None:
            values = self.values_of[value]
            return np.asarray(self.array[k] == values[0] if len(values) == 1 else np.isin(self.array[k], values))
        own = self.probabilities[
            self.values.index(value) - len(self.values), :, :, k if self.slices is None else self.slices[k]
        ].T
        return np.asarray(np.rint(np.clip(own, 0, 1) * WHOLE), np.uint8)

    def totals(self) -> dict[int, int]:
        """Sum over all slices of each class."""
        if self.probabilities is None:
            counts = np.zeros(max([*self.values, int(self.array.max())]) + 1, np.int64)
            for frame in self.array:
                counts += np.bincount(frame.ravel(), minlength=len(counts))
            return {v: sum(int(counts[n]) for n in self.values_of[v] if n < len(counts)) for v in self.values}
        slices = range(len(self.array))
        return {value: sum(_sum(self.voxels(value, k)) for k in slices) for value in self.values}


# SNOMED CT: of the measurements of a group, the one that is compared with the labels.
VOLUME = "118565006"


def prove_seg(
    path: Path, labels: AnyLabels, series: SourceSeries, probabilities: npt.NDArray[np.float32] | None = None
) -> Measured:
    """Read a DICOM SEG back; return the Dice of each class with the labels, or the probabilities, it was made of.

    Each frame is compared with the slice at its own place, and what is on no frame must be empty. Anything that
    differs is a `FormatLimitation`.
    """
    dataset = read_object(path, "SEG")
    _same_patient(dataset, series.first)
    kind, classes, slices = str(dataset.SegmentationType), classes_of(dataset), _slices(dataset, series)
    values = [entry.value for entry in labels.table]
    numbers = labels.as_map() if isinstance(labels, OverlappingLabels) else labels
    array = np.ascontiguousarray(series.on_slices(numbers).transpose(2, 1, 0))
    values_of = {v: labels.numbers_of(v) if isinstance(labels, OverlappingLabels) else (v,) for v in values}
    own = _OwnFrames(array, values, values_of, probabilities, series.slices)
    expected = own.totals()
    found, common = dict.fromkeys(expected, 0), dict.fromkeys(expected, 0)
    for value, k, pixels in SegFile(dataset, kind, classes, labels.geometry, slices).frames():
        if value not in expected:  # the one segment that stands for an empty table
            _must(not pixels.any(), f"it holds a class of value {value}, which the labels do not have")
        elif probabilities is None:  # a fraction other than 0 and 1 is found and not common
            found[value] += int(np.count_nonzero(pixels))
            common[value] += int(np.count_nonzero((pixels.T == 1) & own.voxels(value, k)))
        else:
            read = np.rint(pixels.T * WHOLE).astype(np.uint8)
            found[value] += _sum(read)
            common[value] += _sum(np.minimum(read, own.voxels(value, k)))
    return identical({c.name: dice_of(common[c.value], found[c.value], expected[c.value]) for c in labels.table})


def prove_sr(path: Path, *measured: tuple[AnyLabels, Dataset]) -> Measured:
    """Read a report back; return the volume of each class it states; one that is not the labels' is refused.

    - `measured`: the labels the report is of, each with the DICOM SEG made of them; the first are the classes.
    """
    report = read_dicom(path)
    stated = _stated_volumes(report)
    known = {str(seg.SOPInstanceUID) for _, seg in measured}
    _must({uid for uid, _ in stated} <= known, "it refers to another DICOM SEG")
    volumes = []
    for labels, seg in measured:
        _same_patient(report, seg)
        uid = str(seg.SOPInstanceUID)
        volumes.append(
            _same_volumes({number: ml for (seg_uid, number), ml in stated.items() if seg_uid == uid}, labels)
        )
    return {"volume_ml": volumes[0]}


def _same_volumes(stated: dict[int, float], labels: AnyLabels) -> dict[str, float]:
    """Volume of each class by its name, from the volumes that a report states by segment."""
    volumes = {}
    counts = class_counts(labels)
    for number, entry in enumerate(labels.table, start=1):
        own = counts[entry.value] * labels.geometry.voxel_volume / 1000
        _must(number in stated, f"it states no volume of '{entry.name}'")
        _must(
            isclose(stated[number], own, rel_tol=1e-5, abs_tol=1e-9),
            f"it states {stated[number]:.6g} ml of '{entry.name}', and the labels have {own:.6g} ml",
        )
        volumes[entry.name] = stated[number]
    return volumes


def _slices(dataset: Dataset, series: SourceSeries) -> tuple[int, ...]:
    """Slice of the series on which each frame lies, by its position; it must refer to that slice's instance."""
    positions = np.stack([plane.position for plane in series.planes])
    slices = []
    for (_, plane), groups in zip(planes_of(dataset), dataset.PerFrameFunctionalGroupsSequence, strict=True):
        k = int(np.linalg.norm(positions - plane.position, axis=1).argmin())
        _must(_is_same_place(plane, series.planes[k]), "a frame lies where the series has no slice")
        for derivation in groups.get("DerivationImageSequence") or ():
            for image in derivation.get("SourceImageSequence") or ():
                own = series.instance_of(k).SOPInstanceUID
                _must(image.ReferencedSOPInstanceUID == own, "a frame refers to another slice than the one it lies on")
        slices.append(k)
    return tuple(slices)


def _is_same_place(a: Plane, b: Plane) -> bool:
    near = bool(np.abs(a.position - b.position).max() <= SAME_PLACE)
    return near and a.size == b.size and np.allclose(a.axes, b.axes, rtol=1e-3, atol=1e-4)


def _stated_volumes(report: Dataset) -> dict[tuple[str, int], float]:
    """Volume in ml by the DICOM SEG and the number of the segment it is of."""
    volumes = {}
    for group in items_of(report):
        segments = [
            item.ReferencedSOPSequence[0]
            for item in group.get("ContentSequence") or ()
            if item.ValueType == "IMAGE" and "ReferencedSegmentNumber" in item.ReferencedSOPSequence[0]
        ]
        for item in group.get("ContentSequence") or ():
            if item.ValueType == "NUM" and segments and item.ConceptNameCodeSequence[0].CodeValue == VOLUME:
                measured = item.MeasuredValueSequence[0]
                unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
                reference = segments[0]
                _must(unit == "ml", f"it states a volume in {unit}")
                at = (str(reference.ReferencedSOPInstanceUID), int(reference.ReferencedSegmentNumber))
                volumes[at] = float(measured.NumericValue)
    return volumes


def items_of(item: Dataset) -> list[Dataset]:
    """List a content item and every one below it."""
    return [item, *(below for child in item.get("ContentSequence") or () for below in items_of(child))]


def _same_patient(dataset: Dataset, source: Dataset) -> None:
    for keyword in ("StudyInstanceUID", "PatientID"):
        _must(dataset.get(keyword) == source.get(keyword), f"its {keyword} is not the source's")


def _sum(values: npt.NDArray[np.uint8]) -> int:
    return int(values.sum(dtype=np.int64))


def dice_of(common: int, a: int, b: int) -> float:
    """Overlap of two masks; 1 where both are empty."""
    return 1.0 if a + b == 0 else 2 * common / (a + b)


def identical(agreement: dict[str, float]) -> Measured:
    """Return the Dice of each class; one below 1 is a `FormatLimitation`."""
    for name, dice in agreement.items():
        _must(dice == 1, f"'{name}' comes back with a Dice of {dice:.6g}")
    return {"dice": agreement}


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise FormatLimitation(f"read back, the file does not hold what was to be written: {what}", fix=FIX)
