"""Looks for what is missing of a DICOM series whose images nevertheless make an even stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from medseg.io.dicom.frame import SAME_COSINE, Frame
from medseg.io.dicom.geometry import UNEVEN, heights
from medseg.io.dicom.interleaved import is_even
from medseg.io.dicom.orientation import SWEEPING
from medseg.io.dicom.tiling import whole_number
from medseg.io.dicom.volume import Volume

Positions = npt.NDArray[np.float64]
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
MOST_IN_A_GAP = 50
HERE = "{} of {} images of this {} are here, by its header ({})"
TIMES = "{} of {} times of this series are here, by its header ({})"
# Totals of the times at which a volume was imaged again, and what distinguishes these times.
OF_TIMES = (
    ("NumberOfTemporalPositions", "Number of Temporal Positions", "TemporalPositionIdentifier"),
    ("NumberOfTimeSlices", "Number of Time Slices", "FrameReferenceTime"),
)


def missing(volume: Volume, series: Sequence[Frame]) -> tuple[str, ...]:
    """Warnings of what a volume's headers say is missing.

    - `series`: all images of its series, this volume's and others'.
    """
    totals = _by_totals(volume, series)
    numbers = _by_numbers if volume.frames[0].index is None else _by_places
    return tuple(totals) or tuple(numbers(volume, series)) or tuple(_by_steps(volume))


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
        yield from _by_times(volume, series)
    for uid in {str(frame.header.get("ConcatenationUID") or "") for frame in volume.frames} - {""}:
        parts = [frame for frame in series if str(frame.header.get("ConcatenationUID")) == uid]
        present = len({frame.sop_uid for frame in parts})
        if (stated := _largest(parts, "InConcatenationTotalNumber")) > present:
            yield f"{present} of {stated} parts of this object are here, by its header (In-concatenation Total Number)"


def _by_times(volume: Volume, series: Sequence[Frame]) -> Iterable[str]:
    """How many times of a series are here, where its headers number or time them."""
    for total, name, keyword in OF_TIMES:
        if keyword == "FrameReferenceTime" and "DYNAMIC" not in str(volume.frames[0].header.get("SeriesType")):
            continue  # of a static PET it may count the places of the table
        times = {frame.attributes[keyword] for frame in series if keyword in frame.attributes}
        if 0 < len(times) < (stated := _largest(volume.frames, total)):
            yield TIMES.format(len(times), stated, name)


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
    if len(frames) < 3 or not frames[0].is_placed or not is_even(frames):
        return
    positions = np.array([frame.position for frame in frames])[np.argsort(heights(frames))]
    step = float(np.linalg.norm(positions[-1] - positions[0])) / (len(positions) - 1)
    between, thick = frames[0].stated_step, frames[0].thickness
    stated, name = (between, "Spacing Between Slices") if between else (thick, "Slice Thickness")
    # Of thin slices with gaps, or gaps where the spacing should be, one of the two says so.
    times = round(step / stated) if stated else 0
    if times < 2 or times > MOST_APART or (thick and thick > step / times * (1 + STEP_SLACK)):
        return
    if abs(step / stated - times) <= STEP_SLACK * times:
        apart = f"Images are {step:.3g} mm apart, {times} times the {name} of {stated:.3g} mm"
        yield f"{apart}: those between may be missing"


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


def _by_places(volume: Volume, series: Sequence[Frame]) -> Iterable[str]:
    """What the places in the stack say that an enhanced object gives its frames."""
    stacks = {frame.stack_place[0] for frame in volume.frames if frame.stack_place is not None}
    numbered = [frame.stack_place for frame in series if frame.stack_place is not None]
    within = {number for stack, number in numbered if stack in stacks}
    elsewhere = {number for stack, number in numbered if stack not in stacks}
    # Some number the places of all stacks on and on: then those of the others are none that is missing.
    numbers = sorted(within if within & elsewhere else within | elsewhere)
    own = {frame.stack_place for frame in volume.frames}
    if len(stacks) != 1 or None in own or len(own) < len(volume.frames) or len(numbers) < 3:
        return
    gaps = np.diff(numbers)
    lost = numbers[-1] - numbers[0] + 1 - len(numbers)
    if gaps.min() == gaps.max() and 1 < gaps[0] <= MOST_APART:
        yield f"Places in the stack go up in steps of {gaps[0]}: only every {nth(int(gaps[0]))} frame may be here"
    elif 0 < lost <= len(numbers):
        yield f"{lost} places in the stack between {numbers[0]} and {numbers[-1]} are missing, and frames with them"
    elif 1 < numbers[0] <= 2 * len(numbers) + 1:
        yield f"Places in the stack begin with {numbers[0]}: {numbers[0] - 1} frames before may be missing"


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

    These go on where the volume ends, lie between its images or in a gap of them, or have no position at all.
    """
    first = volume.frames[0]
    for other in volumes:
        theirs = other.frames[0]
        if other is volume or (theirs.image_type[:2] != first.image_type[:2] and not other.is_localizer):
            continue
        if other.is_localizer and not volume.is_localizer and not _is_alike(first, theirs):
            continue
        count = len(other.frames)
        images = f"{count} image{'s' * (count != 1)} of its series"
        same = theirs.rows in (0, first.rows) and theirs.columns in (0, first.columns)
        if first.is_placed and not theirs.is_placed and same and first.index is None:
            return f"{images} without a valid position could not be placed"
        if not (first.is_placed and theirs.is_placed):
            continue
        mine, others = positions_of(volume.frames), positions_of(other.frames)
        if goes_on(mine, others) or goes_on(others, mine):
            return f"{images} lie where it would go on, and were split off because of {_difference(first, theirs)}"
        if _lies_between(volume, other):
            return f"{images} lie between its own, and were split off because of {_difference(first, theirs)}"
        if _is_turned_little(first, theirs) and (fills_gap(mine, others) or fills_gap(others, mine)):
            return f"{images} lie in a gap of it, or it in one of theirs: split off by {_difference(first, theirs)}"
    return None


def _is_alike(one: Frame, other: Frame) -> bool:
    """Whether two images lie in one direction and have the same pixels, as those of a localizer and a scan do not."""
    grids = [(f.rows, f.columns, tuple(round(s, 4) for s in f.pixel_spacing or ())) for f in (one, other)]
    return grids[0] == grids[1] and _is_turned_little(one, other, SAME_COSINE)


def _is_turned_little(one: Frame, other: Frame, most: float = SWEEPING) -> bool:
    if one.orientation is None or other.orientation is None:
        return False
    return bool(np.abs(np.subtract(one.orientation, other.orientation)).max() <= most)


def positions_of(frames: Sequence[Frame]) -> Positions:
    """Positions of placed frames, in the order of their places."""
    return np.array([frame.position for frame in frames])[np.argsort(heights(frames))]


def goes_on(positions: Positions, theirs: Positions) -> bool:
    """Whether the first or last of other images is where the next one would lie."""
    if len(positions) < 2:
        return False
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    reach = max(2 * UNEVEN * float(np.linalg.norm(step)), 1e-3)
    next_ones = np.array([positions[0] - step, positions[-1] + step])
    return bool((np.linalg.norm(theirs[:, None] - next_ones, axis=2) <= reach).any())


def fills_gap(positions: Positions, theirs: Positions) -> bool:
    """Whether all of some images lie where even steps from image to image leave one out."""
    if len(positions) < 3 or len(theirs) >= len(positions):
        return False
    gaps = np.diff(positions, axis=0)
    step = gaps[np.argmin(np.linalg.norm(gaps, axis=1))]
    length = float(np.linalg.norm(step))
    places = [
        positions[k] + n * step
        for k, gap in enumerate(gaps)
        for n in range(1, min(round(float(np.linalg.norm(gap)) / max(length, 1e-9)), MOST_IN_A_GAP))
    ]
    if not places:
        return False
    away = np.linalg.norm(theirs[:, None] - np.array(places), axis=2).min(axis=1)
    return bool((away <= max(2 * UNEVEN * length, 1e-3)).all())


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
