"""One time point of a patient: labels and objects on their scan's own grid, and what made them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from medseg.errors import UsageError
from medseg.post.components import components
from medseg.post.in_plane_axes import slice_axis
from medseg.post.measure import located
from medseg.types import Geometry, Instances, LabelClass, LabelMap, ModelIdentity, Scan
from medseg.types.overlapping import AnyLabels, class_map

ABNORMAL = "49755003"  # SNOMED CT: Morphologically Abnormal Structure
LESION = re.compile(r"lesion|tumou?r|metasta|nodul|mass|cancer|carcinoma|lymph|^class-\d+$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class TimePoint:
    """Labels of one scan; the scan itself where positions are to be registered by it.

    - `objects`: of a model that makes objects; else they are the components of classes.
    - `patient`: whose it is, as the scan says; only ever compared, never written.
    - `half_widths_ml`: of the intervals of classes' volumes, where the model's card has such.
    """

    case_id: str
    labels: AnyLabels
    scan: Scan | None
    model: ModelIdentity
    objects: Instances | None = None
    patient: str = field(default="", repr=False)
    day: date | None = field(default=None, repr=False)
    half_widths_ml: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> Geometry:
        """Grid of labels and scan."""
        return self.labels.geometry

    @property
    def plane_axis(self) -> int:
        """The array axis across the slices that diameters are measured in."""
        return slice_axis(self.grid)

    def class_names(self) -> tuple[str, ...]:
        """Names of all classes of the table."""
        return tuple(entry.name for entry in self.labels.table)

    def found_objects(self, classes: tuple[str, ...]) -> Instances:
        """Objects of these classes: the model's own where it makes any, else connected components.

        Of labels that may overlap, only one class can be asked for: objects that share voxels have no map.
        """
        things = () if self.objects is None else [e.name for e in self.objects.table if e.is_thing]
        if self.objects is not None and set(classes) & set(things):
            return located(self.objects)
        entries = [entry for entry in self.labels.table if entry.name in classes]
        if isinstance(self.labels, LabelMap):
            return components(self.labels, classes=[entry.value for entry in entries])
        entry = entries[0] if entries else LabelClass(self.labels.table.largest + 1, classes[0])  # of which nothing is
        return components(class_map(self.labels, entry), classes=[entry.value])


def apart(points: tuple[TimePoint, TimePoint], classes: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Classes whose objects share no voxels, together: all of label maps, each by itself of labels that may overlap."""
    together = all(isinstance(point.labels, LabelMap) for point in points)
    return (classes,) if together else tuple((name,) for name in classes)


def object_classes(points: tuple[TimePoint, TimePoint], chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Classes whose objects are followed: those chosen, else the countable ones, else all.

    Raises
    ------
    UsageError
        When a chosen class is in neither table.
    """
    known = tuple(dict.fromkeys(name for point in points for name in point.class_names()))
    if unknown := [name for name in chosen if name not in known]:
        raise UsageError(
            f"no class has the name '{unknown[0]}'", where="--class", fix=f"There are: {', '.join(known) or 'none'}."
        )
    if chosen:
        return chosen
    things = [entry.name for point in points for entry in point.labels.table if entry.is_thing]
    return tuple(dict.fromkeys(things)) or known


def lesion_classes(points: tuple[TimePoint, TimePoint], followed: tuple[str, ...], chosen: bool) -> tuple[str, ...]:
    """Of the classes that are followed, those whose diameters may be summed: not organs.

    All of them where the user chose them; else those that are countable, coded as abnormal, called a lesion, or not
    named at all.
    """
    if chosen:
        return followed
    entries = {entry.name: entry for point in points for entry in point.labels.table}
    return tuple(name for name in followed if name not in entries or _may_be_lesion(entries[name]))


def _may_be_lesion(entry: LabelClass) -> bool:
    abnormal = entry.category is not None and entry.category.value == ABNORMAL
    return entry.is_thing or abnormal or LESION.search(entry.name) is not None
