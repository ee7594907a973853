"""Looks for what is missing of a DICOM series whose images nevertheless make an even stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

import numpy as np

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.geometry import UNEVEN, heights
from medseg.io.dicom.interleaved import is_even
from medseg.io.dicom.tiling import whole_number
from medseg.io.dicom.volume import Volume

# Instance numbers in larger steps are some scheme, not every n-th image of a series.
MOST_APART = 5
# Makers' totals: element, element that names its owner, owner, of what. Places are counted of one volume.
TOTALS = (
    ((0x0025, 0x1007), (0x0025, 0x0010), "GEMS_SERS_01", "series"),
    ((0x0021, 0x104F), (0x0021, 0x0010), "GEMS_RELA_01", "volume"),
    ((0x2001, 0x1018), (0x2001, 0x0010), "Philips Imaging DD 001", "volume"),
)
# How far what the header says of a step may be from the whole number of times that it fits into the true one.
STEP_SLACK = 0.02
HERE = "{} of {} images of this {} are here, by its header ({})"


def missing(volume: Volume, series: Sequence[Frame]) -> tuple[str, ...]:
    """Warnings of what a volume's headers say is missing.

    - `series`: all images of its series, this volume's and others'.
    """
    totals = _by_totals(volume, series)
    return tuple(totals) or tuple(_by_numbers(volume, series)) or tuple(_by_steps(volume))


def _by_totals(volume: Volume, series: Sequence[Frame]) -> Iterable[str]:
    first = volume.frames[0]
    objects = {frame.sop_uid for frame in series}
    stated = _largest(volume.frames, "NumberOfSeriesRelatedInstances")
    if stated > len(objects):
        yield HERE.format(len(objects), stated, "series", "Number of Series Related Instances")
    if first.index is None:
        number = first.header.get("AcquisitionNumber")
        acquired = sum(frame.header.get("AcquisitionNumber") == number for frame in series)
        if (stated := _largest(volume.frames, "ImagesInAcquisition")) > acquired:
            yield HERE.format(acquired, stated, "acquisition", "Images in Acquisition")
        if str(first.header.get("Modality")) == "PT" and _largest(volume.frames, "NumberOfSlices") > len(volume.frames):
            yield HERE.format(len(volume.frames), _largest(volume.frames, "NumberOfSlices"), "time", "Number of Slices")
        yield from _by_makers_totals(volume, len(objects))
    for uid in {str(frame.header.get("ConcatenationUID") or "") for frame in volume.frames} - {""}:
        parts = [frame for frame in series if str(frame.header.get("ConcatenationUID")) == uid]
        present = len({frame.sop_uid for frame in parts})
        if (stated := _largest(parts, "InConcatenationTotalNumber")) > present:
            yield f"{present} of {stated} parts of this object are here, by its header (In-concatenation Total Number)"


def _by_makers_totals(volume: Volume, n_objects: int) -> Iterable[str]:
    header = volume.frames[0].header
    for element, owner, name, what in TOTALS:
        if str(getattr(header.get(owner), "value", "")).strip() != name:
            continue
        stated, present = whole_number(header.get(element)), n_objects if what == "series" else len(volume.frames)
        if 1 < present < stated:
            yield HERE.format(present, stated, what, "the maker's own count")


def _by_steps(volume: Volume) -> Iterable[str]:
    """What the header says of the step from image to image, where true ones are several times that."""
    frames = volume.frames
    if len(frames) < 3 or not frames[0].is_placed or frames[0].index is not None or not is_even(frames):
        return
    positions = np.array([frame.position for frame in frames])[np.argsort(heights(frames))]
    step = float(np.linalg.norm(positions[-1] - positions[0])) / (len(positions) - 1)
    between = _positive(frames[0], "SpacingBetweenSlices")
    thick = _positive(frames[0], "SliceThickness")
    stated, name = (between, "Spacing Between Slices") if between else (thick, "Slice Thickness")
    # Of thin slices with gaps, or gaps where the spacing should be, one of the two says so.
    times = round(step / stated) if stated else 0
    if times < 2 or times > MOST_APART or (thick and thick > step / times * (1 + STEP_SLACK)):
        return
    if abs(step / stated - times) <= STEP_SLACK * times:
        apart = f"Images are {step:.3g} mm apart, {times} times the {name} of {stated:.3g} mm"
        yield f"{apart}: those between may be missing"


def _positive(frame: Frame, keyword: str) -> float:
    """A length that the header gives; 0 where it does not."""
    value = frame.header.get(keyword)
    length = abs(float(value)) if value not in (None, "") else 0.0
    return length if isfinite(length) else 0.0


def _by_numbers(volume: Volume, series: Sequence[Frame]) -> Iterable[str]:
    """What instance numbers say, where each image has one of its own.

    In an even stack nothing can be missing but at its ends, or every n-th image.
    """
    images = [frame for frame in series if frame.index is None]
    numbers = sorted(frame.instance_number or 0 for frame in images)
    if len(volume.frames) < 3 or len(set(numbers)) < len(images) or volume.frames[0].index is not None:
        return
    count, gaps = len(numbers), np.diff(numbers)
    lost = numbers[-1] - numbers[0] + 1 - count
    if len(volume.frames) == count and gaps.min() == gaps.max() and 1 < gaps[0] <= MOST_APART:
        yield f"Instance numbers go up in steps of {gaps[0]}: only every {nth(int(gaps[0]))} image may be here"
    elif 0 < lost <= count and not _in_order(volume.frames):
        yield f"{lost} instance numbers between {numbers[0]} and {numbers[-1]} are missing, and images with them"
    elif 1 < numbers[0] <= 2 * count + 1:
        yield f"Instance numbers begin with {numbers[0]}: {numbers[0] - 1} images before may be missing"


def nth(n: int) -> str:
    """Such as ``second``."""
    return {2: "second", 3: "third"}.get(n, f"{n}th")


def _in_order(frames: Sequence[Frame]) -> bool:
    """Whether instance numbers go up, or down, with the places of the images."""
    if not frames[0].is_placed:
        return False
    numbers = [frames[i].instance_number or 0 for i in np.argsort(heights(frames), kind="stable")]
    return numbers in (sorted(numbers), sorted(numbers, reverse=True))


def _largest(frames: Iterable[Frame], keyword: str) -> int:
    """Largest whole number that the headers give; 0 where none does."""
    values = [frame.header.get(keyword) for frame in frames]
    return max((int(value) for value in values if isinstance(value, int)), default=0)


def split_off(volume: Volume, volumes: Sequence[Volume]) -> str | None:
    """Say which images of a series belong to a volume by their places and were split off by their headers.

    These go on where the volume ends, lie between its images, or have no position at all.
    """
    first = volume.frames[0]
    for other in volumes:
        if other is volume or other.is_localizer or other.frames[0].image_type[:2] != first.image_type[:2]:
            continue
        count, theirs = len(other.frames), other.frames[0]
        images = f"{count} image{'s' * (count != 1)} of its series"
        same = theirs.rows in (0, first.rows) and theirs.columns in (0, first.columns)
        if first.is_placed and not theirs.is_placed and same and first.index is None:
            return f"{images} without a valid position could not be placed"
        if first.is_placed and theirs.is_placed and (_goes_on(volume, other) or _goes_on(other, volume)):
            return f"{images} lie where it would go on, and were split off because of {_difference(first, theirs)}"
        if first.is_placed and theirs.is_placed and _lies_between(volume, other):
            return f"{images} lie between its own, and were split off because of {_difference(first, theirs)}"
    return None


def _goes_on(volume: Volume, other: Volume) -> bool:
    """Whether the other's first or last image is where the next one of a volume would lie."""
    if len(volume.frames) < 2:
        return False
    positions = np.array([frame.position for frame in volume.frames])[np.argsort(heights(volume.frames))]
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    reach = max(2 * UNEVEN * float(np.linalg.norm(step)), 1e-3)
    theirs = np.array([frame.position for frame in other.frames])
    next_ones = np.array([positions[0] - step, positions[-1] + step])
    return bool((np.linalg.norm(theirs[:, None] - next_ones, axis=2) <= reach).any())


def _lies_between(volume: Volume, other: Volume) -> bool:
    """Whether each image of the other lies in the middle between two of the volume's, or where the next would.

    Acquisitions that something distinguishes may lie so, and are volumes of their own.
    """
    count = len(volume.frames)
    if count < 3 or abs(count - len(other.frames)) > 1 or volume.distinguished_by or other.distinguished_by:
        return False
    positions = np.array([frame.position for frame in volume.frames])[np.argsort(heights(volume.frames))]
    step = (positions[-1] - positions[0]) / (count - 1)
    theirs = np.array([frame.position for frame in other.frames])
    between = (positions[0] - step / 2) + np.arange(count + 1)[:, None] * step
    away = np.linalg.norm(theirs[:, None] - between, axis=2).min(axis=1)
    return bool((away <= max(UNEVEN * float(np.linalg.norm(step)), 1e-3)).all())


def _difference(one: Frame, other: Frame) -> str:
    """What two images of a series differ in, of what no volume mixes."""

    def attributes(frame: Frame) -> dict[str, object]:
        get = frame.header.get
        return {
            "the object class": str(get("SOPClassUID")),
            "the study": str(get("StudyInstanceUID")),
            "the frame of reference": str(get("FrameOfReferenceUID")),
            "rows and columns": (frame.rows, frame.columns),
            "the pixel spacing": tuple(round(s, 4) for s in frame.pixel_spacing or ()),
            "samples per pixel": get("SamplesPerPixel"),
        }

    left, right = attributes(one), attributes(other)
    return ", ".join(name for name in left if left[name] != right[name]) or "the orientation or what they show"
