"""Finds, in the labels themselves, two classes that are each other's mirror image: left and right without a name.

Found by place, volume and spread alone: a network that is shown mirrored patches cannot distinguish such classes,
unless the image is brighter in one of them. Where it is uncertain, classes count as mirror images.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from medseg.data.label_moments import Moments
from medseg.data.left_right import side_by_name

Axis = Literal["x", "y", "z"]
LETTERS: tuple[Axis, ...] = ("x", "y", "z")
# Both ends of the axes of a scan oriented to RAS.
ENDS = ("RL", "AP", "SI")

# Volume and spread of mirror images differ by no more than these factors: of kidneys and lungs by less.
VOLUME, SPREAD = 1.5, 1.5
# Their centers lie beside each other: no further apart along another axis than this fraction of the way between them,
# or of how far both spread there, as of two kidneys one lies higher.
ASLANT, HIGHER = 0.5, 1.0
# Difference of their covariances, one of them mirrored, by the size of both.
SHAPE = 0.5
# Difference of mean intensities, in standard deviations inside a class, by which two classes are distinguished.
BRIGHTER = 2.0
# Fraction of the labels with both classes in which they must be mirror images, and one on the same side of the other.
USUAL = 0.8


@dataclass(frozen=True)
class MirrorPair:
    """Two classes that are each other's mirror image.

    - `axis`: 0, 1 or 2 for x, y, z after orientation to RAS.
    - `cases`, `n_labels`: in how many labels they are, and how many hold both. Classes without names that no
      label holds both of are listed with 0 of 0, because nothing shows what they are.
    """

    first: str
    second: str
    axis: int
    cases: int
    n_labels: int

    @property
    def reason(self) -> str:
        """What was found, as part of a sentence."""
        if self.n_labels == 0:
            return f"no label holds both '{self.first}' and '{self.second}', so they may be two sides"
        both = f"'{self.first}' and '{self.second}'"
        return f"{both} are each other's mirror image in {self.cases} of {self.n_labels} labels"

    @property
    def is_always(self) -> bool:
        """Whether they are so in every label that holds both."""
        return self.cases == self.n_labels

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def mirror_pairs(cases: Iterable[Mapping[str, Moments]]) -> tuple[MirrorPair, ...]:
    """Pairs of classes that are mirror images along an axis in most labels that hold both."""
    every = list(cases)
    names = list(dict.fromkeys(name for case in every for name in case))
    found: list[MirrorPair] = []
    for a, b in combinations(names, 2):
        both = [(case[a], case[b]) for case in every if a in case and b in case]
        if not both and _is_unnamed(a) and _is_unnamed(b):
            found.append(MirrorPair(a, b, 0, 0, 0))
        for axis in range(3):
            alike = [one[axis] < other[axis] for one, other in _alike(both, axis)]
            if both and max(alike.count(True), alike.count(False)) >= USUAL * len(both):
                found.append(MirrorPair(a, b, axis, len(alike), len(both)))
    return tuple(found)


def axes_with_sides(
    names: Sequence[str], pairs: Iterable[MirrorPair], *, order: Sequence[int], orientation: str = "RAS"
) -> dict[Axis, str]:
    """Axes along which a mirrored patch may show one class as another, each with the reason.

    - `names`: of the classes.
    - `pairs`: what the labels showed, along x, y, z after orientation to RAS.
    - `order`, `orientation`: of the network's input, as an input card has them. Where scans stay as stored nothing
      tells which axis is left and right, and no axis is safe for classes with sides by their names.
    """
    reasons = {pair.axis: pair.reason for pair in reversed(list(pairs))}
    if (sides := side_by_name(names)) is not None:
        reasons[0] = sides
    found: dict[Axis, str] = {}
    for letter, source in zip(LETTERS, order, strict=True):
        stored = orientation == "stored"
        may_be = range(3) if stored else [axis for axis, ends in enumerate(ENDS) if orientation[source] in ends]
        why = next((reasons[axis] for axis in may_be if axis in reasons), None)
        if why is not None:
            found[letter] = why
    return found


def _alike(both: Sequence[tuple[Moments, Moments]], axis: int) -> list[tuple[Any, Any]]:
    """Centers of the two classes in each case where they mirror each other along an axis."""
    return [(one.center, other.center) for one, other in both if _are_mirrored(one, other, axis)]


def _is_unnamed(name: str) -> bool:
    return re.fullmatch(r"class-\d+", name) is not None


def _are_mirrored(one: Moments, other: Moments, axis: int) -> bool:
    apart = np.abs(other.center - one.center)
    # A class of one voxel has no spread; a tiny one keeps the ratios finite.
    spread = [np.sqrt(np.maximum(np.diag(m.covariance), 1e-6)) for m in (one, other)]
    both = spread[0] + spread[1]
    aslant = apart > np.maximum(ASLANT * apart[axis], HIGHER * both)
    if np.delete(aslant, axis).any() or apart[axis] < both[axis]:
        return False
    if max(one.voxels, other.voxels) > VOLUME * min(one.voxels, other.voxels):
        return False
    if (np.maximum(*spread) > SPREAD * np.minimum(*spread)).any():
        return False
    flip = np.ones(3)
    flip[axis] = -1
    size = max(float(np.linalg.norm(m.covariance)) for m in (one, other))
    if np.linalg.norm(one.covariance * np.outer(flip, flip) - other.covariance) > SHAPE * max(size, 1e-6):
        return False
    brighter = np.abs(one.means - other.means) / np.maximum(np.maximum(one.deviations, other.deviations), 1e-12)
    return not (brighter > BRIGHTER).any()
