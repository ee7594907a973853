"""Turns scores into classes: the largest wins, or, for overlapping regions, the last one that is present.

Both rules have what exact labels on a finer grid rest on: linear interpolation is a convex combination, so a class that
wins in all corners of a cell wins everywhere in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import ModelError
from medseg.models.card import ModelCard

__all__ = ["Decision"]


@dataclass(frozen=True)
class Decision:
    """What label a voxel's scores stand for.

    Parameters
    ----------
    values : tuple of int
        Label of each outcome; the first is the background's 0. Where one class excludes the others, outcome ``k`` is
        that score ``k`` is the largest (the first of equal ones). With regions, outcome ``k + 1`` is that score ``k``
        is above 0 and no later one is, outcome 0 that none is.
    regions : bool
        Whether scores stand for regions that may overlap.
    """

    values: tuple[int, ...]
    regions: bool = False

    @classmethod
    def of(cls, card: ModelCard) -> Decision:
        """Return the decision a model's card describes."""
        if card.regions is not None:
            return cls((0, *card.regions), regions=True)
        return cls((0, *(c.value for c in card.table)))

    @property
    def channels(self) -> int:
        """Scores the network must give for each voxel."""
        return len(self.values) - self.regions

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type that holds every outcome and one value more."""
        return np.uint8 if len(self.values) <= 255 else np.uint16

    def outcome(self, scores: Sequence[npt.NDArray[Any]] | npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Index into `values` for each voxel.

        Parameters
        ----------
        scores : K arrays of one shape
            One for each channel of the network.

        Raises
        ------
        ModelError
            When a score is not a number.
        """
        winner = np.zeros(scores[0].shape, dtype=self.dtype)
        if self.regions:
            for index, score in enumerate(scores):
                _refuse_nan(score)
                np.copyto(winner, index + 1, where=score > 0)
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
            "the network gave scores that are not numbers",
            fix="The weights are damaged or the precision is too low: try --engine torch, or another package.",
        )
