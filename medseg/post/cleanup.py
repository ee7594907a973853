"""Clean-up of label maps, class by class, by rules a model or a pipeline lists."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medseg.config.strict import Strict
from medseg.post.components import class_values
from medseg.post.connectivity import Connectivity
from medseg.post.holes import fill_holes
from medseg.post.removal import keep_largest, remove_small
from medseg.post.smoothing import smooth
from medseg.types import AnyLabels, LabelClass, LabelMap, OverlappingLabels


class _Rule(Strict):
    classes: tuple[str, ...] | None = Field(default=None, description="names of the classes it is for; null for all")


class KeepLargest(_Rule):
    """Keeps the largest objects of each class."""

    rule: Literal["keep_largest"] = "keep_largest"
    count: Annotated[int, Field(ge=1)] = 1
    connectivity: Connectivity = 26

    def apply(self, labels: LabelMap) -> LabelMap:
        """Return the cleaned label map."""
        values = class_values(self.classes, labels.table)
        return keep_largest(labels, count=self.count, classes=values, connectivity=self.connectivity)


class RemoveSmall(_Rule):
    """Removes objects smaller than a volume."""

    rule: Literal["remove_small"] = "remove_small"
    min_mm3: Annotated[float, Field(gt=0)]
    connectivity: Connectivity = 26

    def apply(self, labels: LabelMap) -> LabelMap:
        """Return the cleaned label map."""
        values = class_values(self.classes, labels.table)
        return remove_small(labels, self.min_mm3, classes=values, connectivity=self.connectivity)


class FillHoles(_Rule):
    """Fills the background a class encloses."""

    rule: Literal["fill_holes"] = "fill_holes"
    max_mm3: Annotated[float, Field(gt=0)] | None = None

    def apply(self, labels: LabelMap) -> LabelMap:
        """Return the cleaned label map."""
        return fill_holes(labels, max_mm3=self.max_mm3, classes=class_values(self.classes, labels.table))


class Smooth(_Rule):
    """Smooths borders."""

    rule: Literal["smooth"] = "smooth"
    sigma_mm: Annotated[float, Field(gt=0)]

    def apply(self, labels: LabelMap) -> LabelMap:
        """Return the cleaned label map."""
        return smooth(labels, self.sigma_mm, classes=class_values(self.classes, labels.table))


Rule = Annotated[KeepLargest | RemoveSmall | FillHoles | Smooth, Field(discriminator="rule")]


def clean_up(labels: AnyLabels, rules: tuple[KeepLargest | RemoveSmall | FillHoles | Smooth, ...]) -> AnyLabels:
    """Apply rules one after the other; of classes that overlap, to each as if it were alone."""
    if isinstance(labels, OverlappingLabels):
        for rule in rules:
            class_values(rule.classes, labels.table)  # that there are such classes
        alone = ((entry, _clean_alone(labels, entry, rules)) for entry in labels.table)
        return OverlappingLabels.of_masks(alone, labels.geometry)
    for rule in rules:
        labels = rule.apply(labels)
    return labels


def _clean_alone(
    labels: OverlappingLabels, entry: LabelClass, rules: tuple[KeepLargest | RemoveSmall | FillHoles | Smooth, ...]
) -> npt.NDArray[np.bool_]:
    one = labels.alone(entry)
    for rule in rules:
        if rule.classes is None or entry.name in rule.classes:
            one = rule.model_copy(update={"classes": None}).apply(one)
    cleaned: npt.NDArray[np.bool_] = one.array != 0
    return cleaned
