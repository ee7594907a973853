"""From the places of single slices to one grid, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.io.dicom.frame import COSINE_SLACK, SAME_COSINE, Frame
from medseg.types.geometry import Geometry

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# A slice may lie this fraction of the slice spacing from its place on an even grid: real positions are rounded to a
# hundredth or a tenth of a millimeter, and a missing slice moves its neighbors by half a spacing at least.
UNEVEN = 0.05
WORTH_A_NOTE = 0.01
SAME_PLACE = 1e-3  # mm
# Positions that are all written to a tenth of a millimeter may be off by half of that along each axis; but no more than
# this fraction of the slice spacing is put down to rounding.
TENTH = 0.1
MOST_ROUNDED = 0.25
# Radians, 0.3 degrees, that directions may lie from their mean: 0.75 mm at the rim of a 300 mm field of view.
MOST_TURNED = 5e-3
# Refuse to make more than this many slices out of one when resampling uneven ones.
MOST_ADDED = 10
FEWEST_IN_TURN = 5
SEPARATELY = "Get the series again with each acquisition as a series of its own."
WAY_OUT = "Get the complete series again, or allow uneven slices (--allow-uneven), which resamples onto an even grid."


@dataclass(frozen=True, eq=False)
class Layout:
    """How the slices of a volume make a grid."""

    order: tuple[int, ...]  # index of the frame at each place along the third axis
    geometry: Geometry  # RAS+; axes are columns, rows, slices
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    # Only for slices resampled from uneven ones: where each slice of the grid lies, counted in the frames of `order`.
    places: npt.NDArray[np.float64] | None = None
    # The inverse: where each frame of `order` lies, counted in slices of the grid.
    frame_places: tuple[float, ...] | None = None


def heights(frames: Sequence[Frame]) -> npt.NDArray[np.float64]:
    """Distance in mm of each frame along the slice normal (rows x columns, right-handed in LPS)."""
    first = _cosines(frames[0])
    return _positions(frames) @ np.cross(first[0], first[1])


def lay_out(frames: Sequence[Frame], *, allow_uneven: bool = False) -> Layout:
    """Order slices by where they lie and find the affine of their grid.

    The third axis runs along the slice normal in the direction that makes the axes right-handed in LPS. Its step is the
    true one from slice to slice, so a tilted gantry gives a sheared affine. Uneven or missing slices are an error,
    unless they may be resampled onto an even grid.
    """
    first = frames[0]
    where = first.file if len(frames) == 1 or first.index is not None else first.file.parent
    _check_placed(frames)
    notes: list[str] = []
    row, column = _mean_cosines(frames, where, notes)
    if abs(row @ column) > COSINE_SLACK:
        raise InputError("its rows and columns are not at right angles", where=where, fix="Export the series again.")
    positions = _positions(frames)
    along = positions @ np.cross(row, column)
    order = np.argsort(along, kind="stable")
    positions, along = positions[order], along[order]
    warnings: list[str] = []
    places: npt.NDArray[np.float64] | None = None
    frame_places: tuple[float, ...] | None = None
    count = len(frames)
    if count == 1:
        step = np.cross(row, column) * (first.slice_step or 1.0)
        warnings.append(
            "One slice; its thickness was taken as "
            + (f"{first.slice_step:g} mm" if first.slice_step else "1 mm, because the header does not say")
        )
    else:
        _check_apart(frames, order, along, where)
        step = (positions[-1] - positions[0]) / (count - 1)
        spacing = float(np.linalg.norm(step))
        rounding = rounding_of(positions)
        _check_line(positions, along, max(UNEVEN * spacing, 0.05, rounding), where)
        off = np.abs(along - np.linspace(along[0], along[-1], count)).max() / ((along[-1] - along[0]) / (count - 1))
        aside = step - np.cross(row, column) * (step @ np.cross(row, column))
        if notes and _is_exactly_even(positions):  # the step lies off the normal because of the directions
            rounding = 0.0
        rounded = rounding > 0 and off * spacing <= min(rounding, MOST_ROUNDED * spacing)
        if rounded and (off > WORTH_A_NOTE or 0 < np.linalg.norm(aside) * (count - 1) <= rounding):
            notes.append("Positions are rounded to 0.1 mm; the slices were read as evenly spaced")
            positions, step = _fitted(positions, np.cross(row, column), rounding)
        elif off > UNEVEN:
            gaps = np.diff(along)
            what = _uneven(gaps)
            if _in_turn(gaps):
                raise InputError(what, where=where, fix=SEPARATELY)
            if not allow_uneven:
                raise InputError(what, where=where, fix=WAY_OUT)
            count, places = _even(along, where)
            frame_places = tuple(((along - along[0]) / (along[-1] - along[0]) * (count - 1)).tolist())
            step = (positions[-1] - positions[0]) / (count - 1)
            warnings.append(f"{what}; resampled to {count} slices {np.linalg.norm(step):.4g} mm apart, as allowed")
        elif off > WORTH_A_NOTE:
            warnings.append(f"Slices lie up to {off * 100:.0f}% of the slice spacing from an even grid")
        if notes and np.linalg.norm(aside) <= MOST_TURNED * spacing:
            row, column = _upright(row, step), _upright(column, step)
    rows_apart, columns_apart = first.pixel_spacing or (0.0, 0.0)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * columns_apart, column * rows_apart
    affine[:3, 2], affine[:3, 3] = step, positions[0]
    try:
        geometry = Geometry(LPS_TO_RAS @ affine, (first.columns, first.rows, count))
    except InputError as error:
        raise InputError(error.what, where=where, fix="Export the series again.") from error
    if geometry.is_sheared:
        tilt = float(
            np.degrees(np.arccos(min(1.0, abs(float(step @ np.cross(row, column))) / float(np.linalg.norm(step)))))
        )
        warnings.append(f"Slices are stacked {tilt:.1f} degrees off their normal (tilted gantry); the grid is sheared")
    return Layout(tuple(int(i) for i in order), geometry, tuple(warnings), tuple(notes), places, frame_places)


def _check_placed(frames: Sequence[Frame]) -> None:
    for frame in frames:
        lacking = [
            name
            for name, value in (
                ("image position", frame.position),
                ("image orientation", frame.orientation),
                ("pixel spacing", frame.pixel_spacing),
            )
            if value is None
        ]
        if lacking:
            raise InputError(
                f"it has no {' or '.join(lacking)}, so its position in the patient is unknown",
                where=frame.file,
                fix="Use the original series, not a screenshot or secondary capture.",
            )
        if not frame.is_placed:
            raise InputError(
                "its position, orientation or pixel spacing is invalid",
                where=frame.file,
                fix="Export the series again from the archive.",
            )


def _cosines(frame: Frame) -> npt.NDArray[np.float64]:
    """Unit vectors along rows and down columns, (2, 3)."""
    cosines = np.reshape(frame.orientation or (), (2, 3)).astype(np.float64)
    unit: npt.NDArray[np.float64] = cosines / np.linalg.norm(cosines, axis=1, keepdims=True)
    return unit


def _mean_cosines(frames: Sequence[Frame], where: object, notes: list[str]) -> npt.NDArray[np.float64]:
    """Direction of the whole, (2, 3): the first image's where all are the same but for rounding, else their mean."""
    first = _cosines(frames[0])
    every = np.array([_cosines(frame) for frame in frames])
    if np.abs(every - first).max() <= SAME_COSINE:
        return first
    mean: npt.NDArray[np.float64] = every.mean(axis=0)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    turned = float(np.linalg.norm(every - mean, axis=2).max())
    if turned > MOST_TURNED:
        raise InputError(
            f"the directions of its slices turn by {np.degrees(turned):.2g} degrees",
            where=where,
            fix="Export the series again from the archive; if the slices are a fan around an axis, they are no volume.",
        )
    notes.append(f"Directions of the slices differ by up to {np.degrees(turned):.2g} degrees; their mean was used")
    return mean


def _upright(direction: npt.NDArray[np.float64], step: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The direction nearest to one that is at a right angle to the step from slice to slice."""
    right = direction - step * (direction @ step) / (step @ step)
    return np.asarray(right / np.linalg.norm(right))


def rounding_of(positions: npt.NDArray[np.float64]) -> float:
    """How far, in mm, a slice may be from its place because positions were rounded to a tenth of a mm; 0 if not."""
    tenths = positions / TENTH
    if np.abs(tenths - np.rint(tenths)).max() > 1e-6:
        return 0.0
    varying = int((np.ptp(positions, axis=0) > 0).sum())
    # Of both ends of the stack too, which say where the others should be.
    return TENTH * float(np.sqrt(varying)) * 1.01


def _is_exactly_even(positions: npt.NDArray[np.float64]) -> bool:
    return len(positions) > 2 and float(np.abs(np.diff(positions, 2, axis=0)).max()) < SAME_PLACE


def _fitted(
    positions: npt.NDArray[np.float64], normal: npt.NDArray[np.float64], rounding: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Positions on the line of even steps nearest to all of them, and the step: along the normal, but for rounding."""
    numbers = np.arange(len(positions)) - (len(positions) - 1) / 2
    step = numbers @ positions / (numbers @ numbers)
    upright = normal * (step @ normal)
    if np.linalg.norm(step - upright) * (len(positions) - 1) <= rounding:
        step = upright
    return positions.mean(axis=0) + numbers[:, None] * step, step


def _positions(frames: Sequence[Frame]) -> npt.NDArray[np.float64]:
    return np.array([frame.position for frame in frames], dtype=np.float64)


def _check_apart(
    frames: Sequence[Frame], order: npt.NDArray[np.intp], along: npt.NDArray[np.float64], where: object
) -> None:
    gaps = np.diff(along)
    same = np.flatnonzero(gaps < max(SAME_PLACE, UNEVEN * float(np.median(gaps))))
    if len(same):
        one, two = (frames[order[same[0] + i]].instance_number for i in (0, 1))
        raise InputError(
            f"{len(same) + 1} or more images share a place (instances {one} and {two}), and nothing in their headers "
            "says which belong together",
            where=where,
            fix="Separate the phases, echoes or repetitions into folders, or remove the images that do not belong.",
        )


def _check_line(
    positions: npt.NDArray[np.float64], along: npt.NDArray[np.float64], slack: float, where: object
) -> None:
    fraction = (along - along[0]) / (along[-1] - along[0])
    line = positions[0] + fraction[:, None] * (positions[-1] - positions[0])
    off = float(np.linalg.norm(positions - line, axis=1).max())
    if off > slack:
        raise InputError(
            f"its slices do not lie on a straight line: one is {off:.3g} mm off",
            where=where,
            fix="Check whether the patient or the table moved; separate the parts into folders.",
        )


def _uneven(gaps: npt.NDArray[np.float64]) -> str:
    """Say what is uneven: slices missing, or several spacings."""
    if _in_turn(gaps):
        short, long = sorted((float(gaps[0]), float(gaps[1])))
        return f"its slices are {short:.3g} and {long:.3g} mm apart in turn, as of two acquisitions mixed"
    usual = float(np.median(gaps))
    multiples = gaps / usual
    missing = int(np.rint(multiples - 1)[multiples > 1.5].sum())
    if missing and np.abs(multiples - np.rint(multiples)).max() < 0.1:
        at = int(np.argmax(gaps)) + 1
        return f"{missing} of {len(gaps) + 1 + missing} slices are missing, the first gap after slice {at}"
    return f"its slices are unevenly spaced, {gaps.min():.4g} to {gaps.max():.4g} mm apart"


def _in_turn(gaps: npt.NDArray[np.float64]) -> bool:
    """Whether gaps are of two lengths, one after another: what two even stacks of slices leave between each other."""
    if len(gaps) < FEWEST_IN_TURN:
        return False
    slack = UNEVEN * float(gaps.max())
    return bool(np.ptp(gaps[::2]) <= slack and np.ptp(gaps[1::2]) <= slack and abs(gaps[0] - gaps[1]) > 2 * slack)


def _even(along: npt.NDArray[np.float64], where: object) -> tuple[int, npt.NDArray[np.float64]]:
    """Number of even slices over the same range, as fine as the finest gap, and where each lies among the old ones."""
    total = float(along[-1] - along[0])
    count = int(np.ceil(total / float(np.diff(along).min()) - UNEVEN)) + 1
    if count > MOST_ADDED * len(along):
        raise InputError(
            f"its slices are too unevenly spaced to resample: {len(along)} would become {count}",
            where=where,
            fix="Separate the parts with different spacing into folders.",
        )
    return count, np.interp(np.linspace(along[0], along[-1], count), along, np.arange(len(along), dtype=np.float64))
