"""One prediction from those of a composite's parts: labels, and what is said of them, under the composite's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.models.card import ModelCard
from medseg.models.composite_card import PartCard
from medseg.models.package import ModelPackage
from medseg.types import Geometry, LabelMap, PostStep, Prediction
from medseg.types.expected_result import ExpectedResult
from medseg.types.how_computed import HowComputed, WindowCount


def paste(
    target: npt.NDArray[Any], labels: npt.NDArray[Any], back: Sequence[npt.NDArray[np.intp]], entry: PartCard
) -> None:
    """Put a part's labels over those that are there, plane by plane; where the part finds nothing, these stay.

    - `target`, shape (X, Y, Z): changed in place.
    - `labels`: of the part, on a grid from which `back` leads to the target's voxels.
    """
    lut = np.zeros(max(int(labels.max()), *entry.values, 0) + 1, target.dtype)
    for own, value in entry.values.items():
        lut[own] = value
    x, y, z = back
    across = np.ix_(x, y)
    for plane, k in enumerate(z):
        found = lut[labels[:, :, k]][across]
        np.copyto(target[:, :, plane], found, where=found != 0)


@dataclass(frozen=True, eq=False)
class PartReport:
    """What a part said of a scan, without its labels."""

    entry: PartCard
    card: ModelCard
    prediction: Prediction

    @property
    def names(self) -> Mapping[str, int]:
        """The part's class names, and the values of these classes in the composite."""
        own = {c.name: c.value for c in self.card.table}
        return {name: self.entry.values[value] for name, value in own.items() if value in self.entry.values}


def report(entry: PartCard, card: ModelCard, prediction: Prediction) -> PartReport:
    """Keep what is small of a part's prediction."""
    nothing = LabelMap(np.zeros((1, 1, 1), np.uint8), Geometry(np.eye(4), (1, 1, 1)), prediction.labels.table)
    return PartReport(entry, card, replace(prediction, labels=nothing))


def combined(labels: LabelMap, package: ModelPackage, parts: Sequence[PartReport], *, anyway: bool) -> Prediction:
    """Make the composite's prediction; what parts say alike is said once."""
    every = [part.prediction for part in parts]
    card = package.card
    names = {entry.value: entry.name for entry in card.table if _given_once(parts, entry.value)}
    uncertainty = {
        given: found
        for part in parts
        for value, found in part.prediction.uncertainty.items()
        if (given := part.entry.values.get(value, 0)) in names
    }
    marks = [found.model.mark for found in every if found.model.mark]
    expected = [(part, part.prediction.expected) for part in parts if part.prediction.expected is not None]
    return Prediction(
        labels,
        replace(package.identity, mark=marks[0] if marks else ""),
        warnings=tuple(dict.fromkeys(text for found in every for text in found.warnings)),
        notes=tuple(dict.fromkeys(text for found in every for text in found.notes)),
        recipe=tuple(PostStep(step.stage, step.options) for step in card.post),
        volume_range_ml={
            **_by_name([(part, part.prediction.volume_range_ml) for part in parts], names),
            **({} if card.validation is None else card.validation.volume_range_ml),
        },
        uncertainty=uncertainty,
        out_of_distribution=tuple(dict.fromkeys(text for found in every for text in found.out_of_distribution)),
        boundary_limit=_by_name([(part, part.prediction.boundary_limit) for part in parts], names),
        computed=_how([found.computed for found in every if found.computed is not None]),
        expected=ExpectedResult(
            n_components=_by_name([(part, found.n_components) for part, found in expected], names),
            always_present=tuple(
                name for part, found in expected for name in _named(part, found.always_present, names)
            ),
            fix=next((found.fix for _, found in expected if found.fix), ""),
            anyway=anyway,
            overridden=tuple(dict.fromkeys(text for _, found in expected for text in found.overridden)),
        ),
        interval_rule=None if card.volume_interval is None else card.volume_interval.to_rule(),
    )


def _named(part: PartReport, own: Iterable[str], names: Mapping[int, str]) -> dict[str, str]:
    """The composite's names of a part's classes, and the part's own; without those that are discarded."""
    return {names[value]: name for name in own if (value := part.names.get(name, 0)) in names}


def _given_once(parts: Sequence[PartReport], value: int) -> bool:
    """Whether a class is one class of one part: limits of a part of it do not hold for several together."""
    return sum(given == value for part in parts for given in part.entry.values.values()) == 1


def _by_name(parts: Sequence[tuple[PartReport, Mapping[str, Any]]], names: Mapping[int, str]) -> dict[str, Any]:
    return {name: found[own] for part, found in parts for name, own in _named(part, found, names).items()}


def _how(parts: Sequence[HowComputed]) -> HowComputed | None:
    """How all parts were computed; the windows of all of them."""
    if not parts:
        return None
    counts = [part.windows for part in parts]
    windows = WindowCount(*(sum(getattr(c, n) for c in counts) for n in ("computed", "reused", "skipped")))
    return replace(
        parts[0],
        engine=", ".join(dict.fromkeys(part.engine for part in parts)),
        device=", ".join(dict.fromkeys(part.device for part in parts)),
        precision=", ".join(dict.fromkeys(part.precision for part in parts)),
        why=f"{len(parts)} parts, one after another; {parts[0].why}",
        windows=windows,
    )
