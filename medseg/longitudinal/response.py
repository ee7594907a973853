"""RECIST 1.1's arithmetic on objects that were found: sums of diameters and the category their change falls into.

Eisenhauer et al., Revised RECIST guideline (version 1.1), European Journal of Cancer 45 (2009).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from medseg.types.follow_up import ObjectChange, Response, TrackedObject

MEASURABLE_MM, MEASURABLE_NODE_MM = 10.0, 15.0
NORMAL_NODE_MM = 10.0  # short axis below which a lymph node counts as gone
MOST, MOST_OF_A_CLASS = 5, 2
LESS, MORE, MORE_MM = 0.7, 1.2, 5.0
CAVEAT = (
    "This is arithmetic with the earlier scan as the baseline, and no response assessment: which lesions are targets, "
    "which are unequivocally new and what treatment did between the scans is for the reader to say."
)

Category = Literal["complete", "partial", "stable", "progressive"]


@dataclass(frozen=True)
class Summed:
    """Classes whose diameters are summed; of those that are lymph nodes, the short axis is."""

    lesions: Collection[str]
    nodes: Collection[str] = ()


def response(every: Sequence[ObjectChange], summed: Summed, thickness_mm: float) -> Response:
    """Sum the diameters of up to five measurable objects, two of a class, the longest first.

    - `thickness_mm`: distance of the slices; an object is measurable from twice that on, where that is more than 10 mm.
    """
    nodes = summed.nodes
    objects = [one for one in every if one.class_name in summed.lesions or one.class_name in nodes]
    if every and not objects:
        text = "No diameters are summed: by their names the classes are no lesions. Say which are with --class."
        return Response((), 0.0, 0.0, 0, None, text)
    targets = _targets(objects, nodes, max(MEASURABLE_MM, 2 * thickness_mm if thickness_mm > MORE_MM else 0.0))
    before, after = (sum(_diameter(one, nodes, after=at) for one in targets) for at in (False, True))
    new = [one for one in objects if one.match == "new" and one.is_certain]
    numbers = tuple(one.number for one in targets)
    if not targets:
        appeared = f" {len(new)} certainly new." if new else ""
        text = f"No object is large enough at the earlier time to be measured by RECIST 1.1.{appeared} {CAVEAT}"
        return Response(numbers, before, after, len(new), "progressive" if new else None, text)
    gone = all(not one.after or (one.class_name in nodes and _is_normal(one)) for one in targets)
    category: Category
    if new or (after >= MORE * before and after - before >= MORE_MM):
        category, rule = "progressive", "a new object, or a sum larger by 20% and 5 mm"
    elif gone:
        category, rule = "complete", "no target is left"
    elif after <= LESS * before:
        category, rule = "partial", "a sum smaller by 30%"
    else:
        category, rule = "stable", "neither 30% smaller nor 20% and 5 mm larger, and nothing new"
    counted = f"{len(targets)} object{'' if len(targets) == 1 else 's'}"
    text = (
        f"Sum of diameters of {counted}: {before:.1f} mm before, {after:.1f} mm after ({after / before - 1:+.0%}); "
        f"{len(new)} certainly new. By RECIST 1.1's limits {category} ({rule}). {CAVEAT}"
    )
    return Response(numbers, before, after, len(new), category, text)


def _targets(objects: Sequence[ObjectChange], nodes: Collection[str], least_mm: float) -> list[ObjectChange]:
    """Objects to sum, the longest first; those that the later scan does not show cannot be compared."""
    comparable = [one for one in objects if one.before and one.match != "not covered"]
    measurable = [
        one
        for one in comparable
        if max(_axis(part, one.class_name, nodes) for part in one.before)
        >= (MEASURABLE_NODE_MM if one.class_name in nodes else least_mm)
    ]
    chosen: list[ObjectChange] = []
    of_class: Counter[str] = Counter()
    for one in sorted(measurable, key=lambda one: (-_diameter(one, nodes, after=False), one.number)):
        if len(chosen) < MOST and of_class[one.class_name] < MOST_OF_A_CLASS:
            chosen.append(one)
            of_class[one.class_name] += 1
    return chosen


def _axis(part: TrackedObject, class_name: str, nodes: Collection[str]) -> float:
    axes = part.axes
    return float(axes.short_mm if class_name in nodes else axes.long_mm)


def _diameter(one: ObjectChange, nodes: Collection[str], *, after: bool) -> float:
    """Diameter that is summed; of an object in parts, the sum of theirs."""
    return one.short_mm(after=after) if one.class_name in nodes else one.long_mm(after=after)


def _is_normal(one: ObjectChange) -> bool:
    return all(part.axes.short_mm < NORMAL_NODE_MM for part in one.after)
