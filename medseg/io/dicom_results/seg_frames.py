"""The frames of a DICOM Segmentation: which segment each shows, where it lies, and its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels
from pydicom.pixels.utils import unpack_bits

from medseg.errors import FormatLimitation, InputError, MedsegError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.grid import Spacings, grid_of, step_along
from medseg.io.dicom.header import read_object
from medseg.io.dicom.jpeg import decoder_of
from medseg.io.dicom.plane import functional_group, planes_of
from medseg.io.dicom_results.coding import class_of
from medseg.types import Geometry, LabelClass

BACKGROUND = ("125040", "DCM")
WRITE_AGAIN = "Write it again with the tool that made it."


@dataclass(frozen=True, eq=False)
class SegFile:
    """An open DICOM Segmentation."""

    dataset: Dataset
    kind: str  # ``"BINARY"``, ``"FRACTIONAL"`` or ``"LABELMAP"``
    classes: dict[int, LabelClass]  # by segment number, without segments that stand for the background
    geometry: Geometry  # the smallest grid that holds every frame
    slices: tuple[int, ...]  # index along the third axis of each frame
    warnings: tuple[str, ...] = ()  # of where they lie

    def frames(self) -> Iterator[tuple[int, int, npt.NDArray[Any]]]:
        """Yield class value, slice and pixels, shape (X, Y), of every frame and class.

        Pixels are of bool for binary frames and label maps, and fractions from 0 to 1 for fractional frames.
        """
        numbers = self._numbers()
        if unknown := set(numbers) - self._described():
            raise InputError(f"frames are of a segment {min(unknown)}, which it does not describe", fix=WRITE_AGAIN)
        largest = float(self.dataset.get("MaximumFractionalValue") or 1)
        for frame, (k, pixels) in enumerate(zip(self.slices, _pixels_of_frames(self.dataset), strict=True)):
            frame_pixels = pixels.T
            if self.kind == "LABELMAP":
                yield from ((self.classes[n].value, k, frame_pixels == n) for n in self._present(frame_pixels))
            elif numbers[frame] in self.classes:
                fraction = frame_pixels.astype(np.float32) / largest if self.kind == "FRACTIONAL" else frame_pixels != 0
                yield self.classes[numbers[frame]].value, k, fraction

    def _present(self, frame_pixels: npt.NDArray[Any]) -> list[int]:
        """Segment numbers in a frame of a label map, checked to be described."""
        background = self.dataset.get("PixelPaddingValue", 0)
        present = set(np.unique(frame_pixels).tolist()) - {background}
        unknown = present - self._described() - {0}
        if unknown:
            raise InputError(f"the pixels hold the number {min(unknown)}, which no segment describes", fix=WRITE_AGAIN)
        return sorted(present & set(self.classes))

    def _described(self) -> set[int]:
        return {int(segment.SegmentNumber) for segment in self.dataset.SegmentSequence}

    def _numbers(self) -> list[int]:
        if self.kind == "LABELMAP":
            return []
        shared = self.dataset.SharedFunctionalGroupsSequence[0]
        items = [
            (f if "SegmentIdentificationSequence" in f else shared).SegmentIdentificationSequence[0]
            for f in self.dataset.PerFrameFunctionalGroupsSequence
        ]
        return [int(item.ReferencedSegmentNumber) for item in items]


def open_seg(path: Path, on: Geometry | None = None) -> SegFile:
    """Read a DICOM Segmentation and find where its frames lie.

    - `on`: the grid it was made on, where that is known: says how far slices are apart, whatever the file says.
    """
    dataset = read_object(path, "SEG")
    try:
        classes = classes_of(dataset)
        placed = planes_of(dataset)
        measures = functional_group(
            dataset.PerFrameFunctionalGroupsSequence[0],
            dataset.SharedFunctionalGroupsSequence[0],
            "PixelMeasuresSequence",
        )
        planes = [plane for _, plane in placed]
        stated, thickness = (
            abs(float(measures.get(keyword) or 0)) or None for keyword in ("SpacingBetweenSlices", "SliceThickness")
        )
        grid = grid_of(planes, Spacings(None if on is None else step_along(on, planes[0]), stated, thickness))
    except MedsegError as error:
        raise type(error)(error.what, where=path, fix=error.fix) from error
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError(
            f"the segmentation lacks a required part or has a wrong one ({cause(error)})",
            where=path,
            fix="Write it again.",
        ) from error
    return SegFile(dataset, str(dataset.SegmentationType), classes, grid.geometry, grid.slices, grid.warnings)


def _pixels_of_frames(dataset: Dataset) -> Iterator[npt.NDArray[Any]]:
    """Pixels of each frame, shape (rows, columns).

    Frames of single bits follow one another without a gap, so most do not start on a byte, which pydicom's own iterator
    does not allow for.
    """
    if dataset.BitsAllocated > 1 or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from iter_pixels(dataset, raw=True, decoding_plugin=decoder_of(dataset.file_meta.TransferSyntaxUID))
        return
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = int(dataset.NumberOfFrames)
    if len(dataset.PixelData) * 8 < frames * rows * columns:
        raise InputError("the pixel data are shorter than the frames they should hold", fix="Copy the file again.")
    for frame in range(frames):
        start, stop = frame * rows * columns, (frame + 1) * rows * columns
        bits = unpack_bits(dataset.PixelData[start // 8 : -(-stop // 8)])
        yield np.asarray(bits)[start % 8 :][: rows * columns].reshape(rows, columns)


def classes_of(dataset: Dataset) -> dict[int, LabelClass]:
    """Class of each segment by its number, without segments that stand for the background."""
    classes: dict[int, LabelClass] = {}
    numbers = [int(segment.SegmentNumber) for segment in dataset.SegmentSequence]
    for segment, number in zip(dataset.SegmentSequence, numbers, strict=True):
        if numbers.count(number) > 1:
            raise InputError(f"{numbers.count(number)} segments have the number {number}", fix=WRITE_AGAIN)
        code = segment.get("SegmentedPropertyTypeCodeSequence")
        if code and (code[0].get("CodeValue"), code[0].get("CodingSchemeDesignator")) == BACKGROUND:
            continue
        if number == 0:
            raise FormatLimitation(
                "segment 0 is not the background, which it is in every label map",
                fix="Number the segments from 1 in the tool that made the file.",
            )
        classes[number] = class_of(segment, number)
    if len({entry.value for entry in classes.values()}) < len(classes):
        raise InputError(
            "two segments claim the same label value", fix="Write it again with a label value for each segment."
        )
    return classes
