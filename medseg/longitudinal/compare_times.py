"""Compares two time points: objects paired, volumes and diameters at both, and what changed beyond repeatability."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medseg.data.left_right import paired_classes
from medseg.longitudinal.measure_objects import measure_objects
from medseg.longitudinal.pairing import Group, ObjectsAt, pair_objects
from medseg.longitudinal.response import Summed, response
from medseg.longitudinal.sizes import default_repeatability, half_width_ml, size_change
from medseg.longitudinal.time_point import TimePoint, apart
from medseg.post.surface_area import surface_area
from medseg.types import Geometry, Instances
from medseg.types.follow_up import (
    Alignment,
    Asymmetry,
    ClassChange,
    FollowUp,
    Match,
    ObjectChange,
    SizeChange,
    TrackedObject,
)
from medseg.types.overlapping import class_map

Tracked = tuple[TrackedObject, ...]


def compare_times(
    points: tuple[TimePoint, TimePoint], alignment: Alignment, classes: tuple[str, ...], summed: Summed
) -> FollowUp:
    """Compare two time points whose positions were brought into one space.

    - `classes`: whose objects are followed.
    - `summed`: of which classes diameters are summed.
    """
    before, after = points
    tracked: tuple[list[TrackedObject], list[TrackedObject]] = ([], [])
    changed: list[ObjectChange] = []
    for together in apart(points, classes):
        found = before.found_objects(together), after.found_objects(together)
        own = measure_objects(before, found[0], together), measure_objects(after, found[1], together)
        changed += _paired(points, found, own, alignment)
        for every, more in zip(tracked, own, strict=True):
            every.extend(more)
    objects = _numbered(changed)
    return FollowUp(
        (before.case_id, after.case_id),
        (after.day - before.day).days if before.day and after.day else None,
        alignment,
        changes := tuple(_class_changes(points, (tuple(tracked[0]), tuple(tracked[1])), classes)),
        objects,
        _asymmetries(changes),
        response(objects, summed, max(before.grid.spacing)),
        _repeatability(points, changes),
        (*_warnings(points), *_not_covered(objects)),
        (*dict.fromkeys((*before.notes, *after.notes)),),
    )


def _paired(
    points: tuple[TimePoint, TimePoint],
    found: tuple[Instances, Instances],
    tracked: tuple[Tracked, Tracked],
    alignment: Alignment,
) -> list[ObjectChange]:
    """Return what became of the objects in two maps of them, without numbers yet."""
    by_id = tuple({one.id: one for one in own} for own in tracked)
    matrix = alignment.matrix
    inverse = np.linalg.inv(matrix).astype(np.float64)
    sides = [
        ObjectsAt(own, {key: one.class_name for key, one in known.items()}, to_other)
        for own, known, to_other in zip(found, by_id, (inverse, matrix), strict=True)
    ]
    groups = pair_objects(sides[0], sides[1], _slack_mm(points[0].grid, points[1].grid, alignment))
    return [
        _change(group, tuple(by_id[0][a] for a in group.before), tuple(by_id[1][b] for b in group.after), matrix)
        for group in groups
    ]


def _numbered(changes: Sequence[ObjectChange]) -> tuple[ObjectChange, ...]:
    order = sorted(changes, key=lambda one: (one.class_name, -max(one.size.before_ml, one.size.after_ml), one.place_mm))
    return tuple(
        ObjectChange(n, o.class_name, o.match, o.before, o.after, o.size, o.place_mm, o.is_certain)
        for n, o in enumerate(order, start=1)
    )


def _change(group: Group, before: Tracked, after: Tracked, matrix: npt.NDArray[np.float64]) -> ObjectChange:
    size = size_change(_sum(before), _sum(after))
    parts = before or after
    place = np.average([one.centroid_mm for one in parts], axis=0, weights=[one.volume_ml for one in parts])
    if not before:
        place = matrix[:3, :3] @ place + matrix[:3, 3]
    x, y, z = (float(value) for value in place)
    low = (size.before_interval_ml if before else size.after_interval_ml)[0]
    return ObjectChange(
        0,
        parts[0].class_name,
        _match(group),
        before,
        after,
        size,
        (x, y, z),
        is_certain=bool(before and after) or low > 0,
    )


def _match(group: Group) -> Match:
    if not group.is_covered:
        return "not covered"
    counts = min(len(group.before), 2), min(len(group.after), 2)
    if not group.is_apart and min(counts) == 1:  # one object, though nearly cut through at one time
        return "paired"
    names: dict[tuple[int, int], Match] = {
        (0, 1): "new", (1, 0): "gone", (1, 1): "paired", (1, 2): "split", (2, 1): "merged", (2, 2): "regrouped",
    }  # fmt: skip
    return names[counts]


def _sum(parts: Tracked) -> tuple[float, float]:
    """Volume of parts together, and its half-width: the boundary of all moves alike at one time."""
    return sum(one.volume_ml for one in parts), sum(one.half_width_ml for one in parts)


def _slack_mm(before: Geometry, after: Geometry, alignment: Alignment) -> float:
    """How far apart voxels of one object may lie: half a voxel's diagonal of each grid, and registration's error."""
    diagonals = [float(np.linalg.norm(grid.spacing)) / 2 for grid in (before, after)]
    return sum(diagonals) + alignment.inconsistency_mm


def _class_changes(
    points: tuple[TimePoint, TimePoint], tracked: tuple[Tracked, Tracked], classes: Sequence[str]
) -> list[ClassChange]:
    names = dict.fromkeys(name for point in points for name in point.class_names())
    changes = []
    for name in names:
        counts = tuple(sum(one.class_name == name for one in own) for own in tracked)
        a, b = (_class_volume(point, name) for point in points)
        changes.append(ClassChange(name, size_change(a, b), (counts[0], counts[1]) if name in classes else None))
    return changes


def _class_volume(point: TimePoint, name: str) -> tuple[float, float]:
    """Volume of a class and the half-width of its interval, ml: the card's where it has one."""
    entry = next((entry for entry in point.labels.table if entry.name == name), None)
    if entry is None:
        return 0.0, point.half_widths_ml.get(name, 0.0)
    mask = class_map(point.labels, entry).array == entry.value
    if not mask.any():
        return 0.0, point.half_widths_ml.get(name, 0.0)
    volume = float(np.count_nonzero(mask) * point.grid.voxel_volume / 1000)
    box = tuple(
        slice(int(on[0]), int(on[-1]) + 1)
        for axis in range(3)
        if len(on := np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))))
    )
    surface = surface_area(mask[box], np.ascontiguousarray(point.grid.affine[:3, :3]))
    return volume, point.half_widths_ml.get(name, half_width_ml(surface, point.grid))


def _asymmetries(classes: Sequence[ClassChange]) -> tuple[Asymmetry, ...]:
    """Every two classes that are the left and the right of one thing by their names."""
    sizes: dict[str, SizeChange] = {one.class_name: one.size for one in classes}
    left_over, found = list(sizes), []
    while (pair := paired_classes(left_over)) is not None:
        left, right = pair
        a, b = sizes[left], sizes[right]
        found.append(Asymmetry(left, right, _index(a.before_ml, b.before_ml), _index(a.after_ml, b.after_ml)))
        left_over = [name for name in left_over if name not in pair]
    return tuple(found)


def _index(left: float, right: float) -> float | None:
    return 200 * (left - right) / (left + right) if left + right else None


def _repeatability(points: tuple[TimePoint, TimePoint], classes: Sequence[ClassChange]) -> str:
    default = default_repeatability(points[0].grid, points[1].grid)
    carded = [c.class_name for c in classes if all(c.class_name in point.half_widths_ml for point in points)]
    if not carded:
        return default
    return f"Intervals of the volumes of {', '.join(carded)} are those of the model's card. Of objects: {default}"


def _not_covered(objects: Sequence[ObjectChange]) -> list[str]:
    """Say of which classes the volumes differ because one scan shows less of the body."""
    texts = []
    for name in dict.fromkeys(one.class_name for one in objects if one.match == "not covered"):
        own = [one for one in objects if one.class_name == name and one.match == "not covered"]
        volume = sum(max(one.size.before_ml, one.size.after_ml) for one in own)
        lie = "1 object lies" if len(own) == 1 else f"{len(own)} objects lie"
        texts.append(
            f"{name}: {lie} where the other scan shows nothing ({volume:.3g} ml in all): the change of the class's "
            "volume is not one of the patient."
        )
    return texts


def _warnings(points: tuple[TimePoint, TimePoint]) -> tuple[str, ...]:
    before, after = points
    texts = [*before.warnings, *after.warnings]
    if before.day and after.day and after.day < before.day:
        days = (before.day - after.day).days
        texts.append(
            f"By their dates, the second scan is {days} day{'' if days == 1 else 's'} earlier than the first: "
            "what grew here has shrunk."
        )
    if before.model.hash != after.model.hash:
        texts.append("The labels were not made by the same model: what changed may be the model.")
    if missing := set(before.class_names()) ^ set(after.class_names()):
        texts.append(f"Only one of the two label maps knows {', '.join(sorted(missing))}.")
    spacings = [np.sort(point.grid.spacing) for point in points]
    if not math.isclose(spacings[0][2], spacings[1][2], rel_tol=0.25):
        texts.append(
            f"Slices lie {spacings[0][2]:.3g} mm apart in one scan and {spacings[1][2]:.3g} mm in the other: small "
            "objects and diameters compare badly."
        )
    return tuple(dict.fromkeys(texts))
