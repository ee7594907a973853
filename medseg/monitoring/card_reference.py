"""Volumes of results compared with those the model was trained on, as its card has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.models.card import ModelCard
from medseg.models.validation_card import ValidationCard
from medseg.monitoring.charts import LEAST_SINCE
from medseg.monitoring.shift import distance_from_quantiles, outside_range, stability_index


@dataclass(frozen=True)
class CardShift:
    """Volumes of one class, against the model's training references.

    - `distance`, `psi`: Kolmogorov-Smirnov distance and stability index; None where the card has a range alone.
    - `outside`: number of volumes beyond the range of the references.
    - `p`: how rarely chance makes as much.
    """

    class_name: str
    n_cases: int
    n_reference: int
    outside: int
    p: float
    distance: float | None = None
    psi: float | None = None
    is_changed: bool = False

    @property
    def sentence(self) -> str:
        """What was compared, and what came of it."""
        text = (
            f"{self.class_name}: {self.outside} of {self.n_cases} volumes lie outside the range of the "
            f"{self.n_reference} cases the model was trained on"
        )
        if self.distance is not None:
            text += f"; Kolmogorov-Smirnov distance {self.distance:.2f}, stability index {self.psi:.2f}"
        return f"{text} (p {self.p:.2g}){': not what it was trained on' if self.is_changed else ''}."


def card_shifts(card: ModelCard, series: Mapping[str, Mapping[int, float]]) -> list[CardShift]:
    """Compare the volumes of each class of which the card says how large it was in training."""
    known = card.validation
    if known is None or card.training.cases < 2:
        return []
    sides = [] if card.locate is None else [region.name for region in card.locate.regions]
    found = []
    for trained in known.volume_range_ml:
        for name in (trained, *(f"{side} {trained}" for side in sides)):  # a located class has the region's name before
            values = np.array([value for _, value in sorted(series.get(f"{name}.volume_ml", {}).items())])
            if len(values) >= LEAST_SINCE:
                found.append(_shift(name, values, known, trained, card.training.cases))
    return found


def _shift(
    name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]], known: ValidationCard, trained: str,
    n_reference: int,
) -> CardShift:  # fmt: skip
    outside, p = outside_range(*known.volume_range_ml[trained], n_reference, values)
    quantiles: Sequence[float] = known.volume_quantiles_ml.get(trained, ())
    if len(quantiles) < 3:
        return CardShift(name, len(values), n_reference, outside, p)
    distance, p_distance = distance_from_quantiles(quantiles, n_reference, values)
    psi = stability_index(np.array(quantiles), values)
    return CardShift(name, len(values), n_reference, outside, min(1.0, 2 * min(p, p_distance)), distance, psi)
