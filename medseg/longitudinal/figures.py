"""Figures of both time points in the earlier one's space: resampled to be seen, never to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as Pixels

from medseg.draw.time_points import ShownTime, draw_times
from medseg.locate.sampling import Image, covered, part_of
from medseg.longitudinal.time_point import TimePoint, apart
from medseg.types import Geometry
from medseg.types.follow_up import FollowUp, ObjectChange
from medseg.types.window import gray_window

MOST = 24  # figures on a page
VIEW_MM = 60.0  # at least, around an object
MARGIN = 2  # voxels around what is sampled
WORST = ("new", "gone", "grown", "shrunk", "split", "merged", "regrouped", "not covered", "unchanged")

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class NumberedObjects:
    """A time point, with each object's number in the table for its voxels, and its world in the earlier one's."""

    point: TimePoint
    numbers: npt.NDArray[np.int32]
    to_common: npt.NDArray[np.float64]
    window: tuple[float, float]

    def on(self, grid: Geometry) -> ShownTime:
        """Sample what lies on a slice of the common space."""
        own = Geometry(np.linalg.inv(self.to_common) @ grid.affine, grid.shape)
        box = covered(own, self.point.grid, MARGIN)
        mine = part_of(self.point.grid, box)
        numbers = Image(self.numbers[box].astype(np.float32), mine).on(own, order=0, outside=0.0)
        scan = self.point.scan
        image = None if scan is None else Image(scan.array[0][box].astype(np.float32), mine).on(own)
        return ShownTime(image, np.rint(numbers).astype(np.int32), self.window)


def word_of(change: ObjectChange) -> str:
    """What became of an object, in the one word its color stands for."""
    return change.match if change.match != "paired" else change.change


def figures(
    follow_up: FollowUp, points: tuple[TimePoint, TimePoint], classes: tuple[str, ...]
) -> list[tuple[ObjectChange, Pixels.Image]]:
    """Draw the objects that changed, the gravest change first, up to `MOST`."""
    sides = _numbered(follow_up, points, classes)
    words = {one.number: word_of(one) for one in follow_up.objects}
    changed = sorted(
        (one for one in follow_up.objects if one.is_changed),
        key=lambda one: (not one.is_certain, WORST.index(words[one.number]), -abs(one.size.difference_ml)),
    )
    drawn = []
    for one in changed[:MOST]:
        grid = _slice_around(one, points)
        drawn.append((one, draw_times(grid, sides[0].on(grid), sides[1].on(grid), words, chosen=one.number)))
    return drawn


def overview(follow_up: FollowUp, points: tuple[TimePoint, TimePoint], classes: tuple[str, ...]) -> Pixels.Image:
    """Draw the slice of the earlier scan in which most of both times' objects lie."""
    sides = _numbered(follow_up, points, classes)
    grid, axis = points[0].grid, points[0].plane_axis
    counts = np.zeros(grid.shape[axis])
    for side in sides:
        own = side.point.grid.to_world(np.argwhere(side.numbers))
        lies = np.rint(grid.to_voxel(own @ side.to_common[:3, :3].T + side.to_common[:3, 3])[:, axis]).astype(int)
        counts += np.bincount(lies[(lies >= 0) & (lies < len(counts))], minlength=len(counts))
    index = int(counts.argmax()) if counts.any() else len(counts) // 2
    x, y, z = (slice(index, index + 1) if a == axis else slice(0, n) for a, n in enumerate(grid.shape))
    shown = part_of(grid, (x, y, z))
    words = {one.number: word_of(one) for one in follow_up.objects}
    return draw_times(shown, sides[0].on(shown), sides[1].on(shown), words, size=420)


def _numbered(
    follow_up: FollowUp, points: tuple[TimePoint, TimePoint], classes: tuple[str, ...]
) -> tuple[NumberedObjects, NumberedObjects]:
    """Number the objects of both times; of classes that share voxels, the smallest is seen."""
    first, second = (np.zeros(point.grid.shape, np.int32) for point in points)
    ml = {one.class_name: one.size.before_ml + one.size.after_ml for one in follow_up.classes}
    for together in sorted(apart(points, classes), key=lambda names: -sum(ml[name] for name in names)):
        changes = [one for one in follow_up.objects if one.class_name in together]
        before = {part.id: one.number for one in changes for part in one.before}
        after = {part.id: one.number for one in changes for part in one.after}
        for numbers, point, number in zip((first, second), points, (before, after), strict=True):
            own = _renumbered(point.found_objects(together).ids, number)
            np.copyto(numbers, own, where=own > 0)
    return (
        NumberedObjects(points[0], first, np.eye(4), _window(points[0])),
        NumberedObjects(points[1], second, follow_up.alignment.matrix, _window(points[1])),
    )


def _renumbered(ids: npt.NDArray[np.int32], numbers: dict[int, int]) -> npt.NDArray[np.int32]:
    lookup = np.zeros(max([int(ids.max(initial=0)), *numbers]) + 1, np.int32)
    lookup[list(numbers)] = list(numbers.values())
    renumbered: npt.NDArray[np.int32] = lookup[ids]
    return renumbered


def _window(point: TimePoint) -> tuple[float, float]:
    return (0.0, 1.0) if point.scan is None else gray_window(point.scan.array[:1], point.scan.modality)


def _slice_around(one: ObjectChange, points: tuple[TimePoint, TimePoint]) -> Geometry:
    """Slice of the earlier scan's grid through an object's largest plane, zoomed in on it."""
    grid, axis = points[0].grid, points[0].plane_axis
    middle = grid.to_voxel(one.place_mm)
    if one.before:  # the plane in which it was measured
        largest = max(one.before, key=lambda part: part.axes.long_mm)
        middle[axis] = largest.axes.plane[1]
    reach = max([VIEW_MM, *(2 * part.axes.long_mm for part in (*one.before, *one.after))]) / 2
    ranges = []
    for a, (n, mm, at) in enumerate(zip(grid.shape, grid.spacing, middle.tolist(), strict=True)):
        if a == axis:
            index = min(max(round(at), 0), n - 1)
            ranges.append(slice(index, index + 1))
        else:  # not cut off at the scan's edge, so that both are always in the middle
            half = max(1, round(reach / mm))
            ranges.append(slice(round(at) - half, round(at) + half + 1))
    x, y, z = ranges
    return part_of(grid, (x, y, z))


def changes_not_shown(follow_up: FollowUp, shown: Sequence[object]) -> int:
    """Number of changed objects without a figure."""
    return sum(one.is_changed for one in follow_up.objects) - len(shown)
