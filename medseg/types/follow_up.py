"""What two time points of a patient show of each other: objects found again and their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# How an object was found again. "regrouped": several before and several after, of which none is clearly another; "not
# covered": at its place the other scan shows nothing, so that nothing can be said.
Match = Literal["paired", "new", "gone", "split", "merged", "regrouped", "not covered"]
# Beyond what repeating the measurement changes; empty where there is nothing to compare.
Change = Literal["grown", "shrunk", "unchanged", ""]
Interval = tuple[float, float]
Voxel = tuple[float, float, float]


@dataclass(frozen=True)
class PlaneAxes:
    """Longest diameter of an object in one plane of the scan, and the longest at right angles to it in that plane.

    - `ends`: the two ends of the longer one, in voxels (X, Y, Z); a voxel's center is a whole number.
    - `plane`: the array axis across the slice, and its index along that.
    """

    long_mm: float
    short_mm: float
    plane: tuple[int, int]
    ends: tuple[Voxel, Voxel]


@dataclass(frozen=True)
class TrackedObject:
    """One object at one time, measured on its own scan's grid."""

    id: int  # in that time point's map of objects
    class_name: str
    volume_ml: float
    half_width_ml: float  # of the interval of its volume
    centroid_mm: tuple[float, float, float]  # in its own scan's world, RAS+
    axes: PlaneAxes
    touches_border: bool  # of the scan: it may be cut off


@dataclass(frozen=True)
class SizeChange:
    """A volume at both times, each with its interval, and their difference with its own."""

    before_ml: float
    after_ml: float
    before_interval_ml: Interval
    after_interval_ml: Interval
    difference_interval_ml: Interval

    @property
    def difference_ml(self) -> float:
        """After minus before."""
        return self.after_ml - self.before_ml

    @property
    def percent(self) -> float | None:
        """Difference in percent of the volume before; None where there was none."""
        return 100 * self.difference_ml / self.before_ml if self.before_ml else None

    @property
    def verdict(self) -> Change:
        """Grown or shrunk where the interval of the difference does not hold 0."""
        low, high = self.difference_interval_ml
        return "grown" if low > 0 else "shrunk" if high < 0 else "unchanged"


@dataclass(frozen=True)
class ObjectChange:
    """One object, or those that became one or of which one became, at both times.

    - `number`: in the table and the figures, from 1.
    - `place_mm`: its middle in the world of the earlier scan, RAS+.
    - `is_certain`: whether what is new, or gone, is larger than the uncertainty of its own volume.
    """

    number: int
    class_name: str
    match: Match
    before: tuple[TrackedObject, ...]
    after: tuple[TrackedObject, ...]
    size: SizeChange
    place_mm: tuple[float, float, float]
    is_certain: bool = True

    @property
    def change(self) -> Change:
        """Whether it grew or shrank, where it is there at both times."""
        return self.size.verdict if self.before and self.after else ""

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to look at."""
        return self.match not in ("paired", "not covered") or self.change in ("grown", "shrunk")

    @property
    def title(self) -> str:
        """What happened, in words."""
        sure = "" if self.is_certain else ", too small to be sure"
        if self.match == "paired":
            return self.change
        return f"{self.match}, {self.change}" if self.change else f"{self.match}{sure}"

    def long_mm(self, *, after: bool) -> float:
        """Longest diameter in a plane, summed over its parts."""
        return sum(one.axes.long_mm for one in (self.after if after else self.before))

    def short_mm(self, *, after: bool) -> float:
        """Diameter at right angles to the longest, summed over its parts."""
        return sum(one.axes.short_mm for one in (self.after if after else self.before))


@dataclass(frozen=True)
class ClassChange:
    """A whole class at both times; the number of its objects where it has any."""

    class_name: str
    size: SizeChange
    objects: tuple[int, int] | None = None


@dataclass(frozen=True)
class Asymmetry:
    """Left minus right by their mean, in percent, before and after; None where both are empty."""

    left: str
    right: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Response:
    """RECIST 1.1's arithmetic on the objects found: no diagnosis.

    - `targets`: numbers of the objects whose diameters are summed.
    - `category`: ``"complete"``, ``"partial"``, ``"stable"``, ``"progressive"``; None without a measurable object.
    - `sentence`: the sums, the rule that holds and what it does not cover.
    """

    targets: tuple[int, ...]
    before_mm: float
    after_mm: float
    new: int
    category: Literal["complete", "partial", "stable", "progressive"] | None
    sentence: str


@dataclass(frozen=True, eq=False)
class Alignment:
    """How positions of the later scan were brought into the earlier one's world.

    - `matrix`: shape (4, 4), RAS+ mm.
    - `how`: ``"registered"``, or ``"given"`` where the user says that both lie in one space.
    """

    matrix: npt.NDArray[np.float64]
    how: Literal["registered", "given"]
    inconsistency_mm: float = 0.0
    correlation: float = 1.0
    overlap: float = 1.0
    rotation_degrees: float = 0.0

    @property
    def sentence(self) -> str:
        """What was done and how well it fits."""
        if self.how == "given":
            return "Both scans were said to lie in one space already; nothing was registered."
        return (
            f"The later scan was registered rigidly with the earlier one (turned by {self.rotation_degrees:.1f} degrees"
            f"; there and back {self.inconsistency_mm:.1f} mm apart, correlation {self.correlation:.2f}, "
            f"{self.overlap:.0%} of the smaller body in both). Soft parts that moved otherwise are not where it says."
        )


@dataclass(frozen=True, eq=False)
class FollowUp:
    """Two time points of a patient, compared.

    - `days`: from the earlier to the later scan; None where a date is not known.
    - `repeatability`: what the intervals of volumes are made of, in a sentence.
    """

    cases: tuple[str, str]
    days: int | None
    alignment: Alignment
    classes: tuple[ClassChange, ...]
    objects: tuple[ObjectChange, ...]
    asymmetries: tuple[Asymmetry, ...]
    response: Response
    repeatability: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"FollowUp('{self.cases[0]}', '{self.cases[1]}', {counts or 'no objects'})"

    @property
    def counts(self) -> dict[str, int]:
        """Number of objects by what became of them: new, gone, grown, shrunk, unchanged and so on."""
        words = [one.match if one.match != "paired" else one.change for one in self.objects]
        order = ("new", "gone", "grown", "shrunk", "split", "merged", "regrouped", "unchanged", "not covered")
        return {word: words.count(word) for word in order if word in words}

    def as_dict(self) -> Mapping[str, Any]:
        """All of it, as JSON has it."""
        return {
            "cases": list(self.cases),
            "days": self.days,
            "alignment": asdict(self.alignment)
            | {"matrix": self.alignment.matrix.tolist(), "sentence": self.alignment.sentence},
            "repeatability": self.repeatability,
            "counts": self.counts,
            "classes": [
                {"class": one.class_name, **_size(one.size), "change": one.size.verdict, "objects": one.objects}
                for one in self.classes
            ],
            "asymmetries": [asdict(one) for one in self.asymmetries],
            "objects": [
                {
                    "number": one.number,
                    "class": one.class_name,
                    "match": one.match,
                    "change": one.change,
                    "is_certain": one.is_certain,
                    **_size(one.size),
                    "place_mm": list(one.place_mm),
                    "before": [asdict(part) for part in one.before],
                    "after": [asdict(part) for part in one.after],
                }
                for one in self.objects
            ],
            "response": asdict(self.response),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


def _size(size: SizeChange) -> dict[str, Any]:
    return asdict(size) | {"difference_ml": size.difference_ml, "percent": size.percent}
