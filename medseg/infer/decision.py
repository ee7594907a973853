"""Turns scores into classes: the largest wins, or, for overlapping regions, the last one that is present.

Both rules have what exact labels on a finer grid rest on: linear interpolation is a convex combination, so a class that
wins in all corners of a cell wins everywhere in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.errors import ModelError
from medseg.models.card import ModelCard

Float32 = npt.NDArray[np.float32]
# A score that is as good as certain: softmax and sigmoid give 1 but for 2e-9.
CERTAIN = 20.0
NOT_NUMBERS = (
    "The weights are damaged or the precision is too low: try the engine torch, then the precision float32 "
    "(`precision`; on a command line `--set segment.precision=float32`), then another package."
)


@dataclass(frozen=True)
class Decision:
    """What label a voxel's scores stand for.

    - `values`: label of each outcome; the first is the background's 0. Where one class excludes the others, outcome
      ``k`` is that score ``k`` is the largest (the first of equal ones). With regions, outcome ``k + 1`` is that score
      ``k`` is above the threshold and no later one is, outcome 0 that none is.
    - `overlapping`: with regions, whether the outcome keeps all that are present: its bit ``k`` is that score ``k`` is
      above the threshold, and `values` are those of the classes, after the background's.
    - `temperature`: what logits are divided by for probabilities, never for outcomes: the card's `calibration`.
    """

    values: tuple[int, ...]
    regions: bool = False
    output: Literal["logits", "probabilities"] = "logits"
    interpolated: Literal["logits", "probabilities"] = "logits"
    overlapping: bool = False
    temperature: float = 1.0

    @classmethod
    def from_card(cls, card: ModelCard, regions: Literal["auto", "fold", "keep"] = "auto") -> Decision:
        """Return the decision a model's card describes, or the user wants of its regions."""
        output = card.network.output
        interpolated = "probabilities" if output == "probabilities" else card.interpolated
        fitted = card.calibration if interpolated == "logits" else None
        temperature = 1.0 if fitted is None else fitted.temperature
        if card.regions is not None:
            overlapping = card.overlapping if regions == "auto" else regions == "keep"
            return cls((0, *card.regions), True, output, interpolated, overlapping, temperature)
        values = (0, *(c.value for c in card.table))
        return cls(values, False, output, interpolated, temperature=temperature)

    @property
    def channels(self) -> int:
        """Scores the network must give for each voxel."""
        return len(self.values) - self.regions

    @property
    def written(self) -> Sequence[int]:
        """What an array of labels holds for each outcome: the label, or the outcome itself where classes overlap."""
        return range(1 << self.channels) if self.overlapping else self.values

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type that holds every outcome and one value more."""
        return np.uint8 if len(self.written) <= 255 else np.uint16

    @property
    def threshold(self) -> float:
        """Above it, a region is present."""
        return 0.5 if self.interpolated == "probabilities" else 0.0

    @property
    def background(self) -> Float32:
        """What a network gives, shape (K,), for a voxel it is certain shows nothing."""
        result = np.zeros(self.channels, dtype=np.float32)
        if self.output == "logits":
            result[:] = -CERTAIN if self.regions else 0
        if not self.regions:
            result[0] = CERTAIN if self.output == "logits" else 1
        return result

    def to_interpolate(self, scores: Float32) -> Float32:
        """What is interpolated, from what the network gave; shape (K, ...) both."""
        return self._probabilities_of(scores) if self.output != self.interpolated else scores

    def probabilities(self, interpolated: Float32) -> Float32:
        """Probabilities, from what was interpolated; shape (K, ...) both."""
        if self.interpolated == "probabilities":
            return interpolated
        scaled = interpolated if self.temperature == 1 else interpolated / np.float32(self.temperature)
        return self._probabilities_of(scaled)

    def _probabilities_of(self, scores: Float32) -> Float32:
        """Softmax over the first axis, or the sigmoid where regions may overlap."""
        if self.regions:
            from scipy.special import expit

            present: Float32 = expit(scores)
            return present
        result: Float32 = scores - scores.max(axis=0)
        np.exp(result, out=result)
        result /= result.sum(axis=0)
        return result

    def outcome(self, scores: Sequence[npt.NDArray[Any]] | npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Index into `values` for each voxel."""
        winner = np.zeros(scores[0].shape, dtype=self.dtype)
        if self.regions:
            for index, score in enumerate(scores):
                _refuse_nan(score)
                if self.overlapping:
                    winner |= (score > self.threshold) * self.dtype(1 << index)
                else:
                    np.copyto(winner, index + 1, where=score > self.threshold)
            return winner
        best = np.array(scores[0], dtype=np.float32)
        for index in range(1, len(scores)):
            np.copyto(winner, index, where=scores[index] > best)
            np.maximum(best, scores[index], out=best)
        _refuse_nan(best)
        return winner


def _refuse_nan(best: npt.NDArray[Any]) -> None:
    """`numpy.maximum` hands on NaN, so one look at the largest scores sees a NaN in any class."""
    if np.isnan(best.max(initial=0)):
        raise ModelError(
            "the output of the network has values that are not numbers (NaN)",
            fix=NOT_NUMBERS,
        )
