"""How far the networks of an ensemble agree, gathered from the windows as they are computed."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.models.card import ModelCard

Counts = npt.NDArray[np.integer[Any]]


class EnsembleAgreement(threading.local):
    """Mean Dice of each network's labels with those of the average, over all windows of a case.

    All members run on a window while it is in the CPU's cache, so this costs a comparison and no pass. Where windows
    overlap a voxel counts once for each. Every thread counts for itself: one model may label several scans at once.

    - `values`: label value of each score; for regions, of each region.
    - `threshold`: for regions, above which one is present; None where the largest score wins.
    """

    def __init__(self, values: tuple[int, ...], members: int, threshold: float | None) -> None:
        self.values, self.threshold = values, threshold
        self._shared = np.zeros((members, len(values)), dtype=np.int64)
        self._sizes = np.zeros((members, len(values)), dtype=np.int64)

    def reset(self) -> None:
        """Begin a new case."""
        self._shared[:] = 0
        self._sizes[:] = 0

    @classmethod
    def from_card(cls, card: ModelCard) -> EnsembleAgreement:
        """Return one for the networks of an ensemble."""
        decision, members = Decision.from_card(card), card.ensemble_members
        if decision.regions:
            return cls(decision.values[1:], members, 0.5 if decision.output == "probabilities" else 0.0)
        return cls(decision.values, members, None)

    def add(self, found: npt.NDArray[Any]) -> None:
        """Compare what each network found in a window with what their average gives.

        - `found`, shape (members + 1, ...): the index of the largest score, or whether each region is present; the
          average's comes last.
        """
        count = len(self.values)
        for number, member in enumerate(found[:-1]):
            if self.threshold is None:
                pairs = member.ravel().astype(np.intp) * count + found[-1].ravel()
                joint = np.bincount(pairs, minlength=count**2).reshape(count, count)
                self.add_counts(number, joint.diagonal(), joint.sum(axis=1) + joint.sum(axis=0))
            else:
                theirs, average = (part.reshape(count, -1) != 0 for part in (member, found[-1]))
                shared = np.count_nonzero(theirs & average, axis=1)
                self.add_counts(number, shared, np.count_nonzero(theirs, axis=1) + np.count_nonzero(average, axis=1))

    def add_counts(self, member: int, shared: Counts, sizes: Counts) -> None:
        """Add what was counted elsewhere: for each value, voxels both have, and those of one and of the other."""
        self._shared[member] += shared
        self._sizes[member] += sizes

    def by_value(self) -> dict[int, float]:
        """Mean Dice over members for each label value that any of them found, without background."""
        dice = 2 * self._shared / np.maximum(self._sizes, 1)
        return {
            value: float(dice[:, index].mean())
            for index, value in enumerate(self.values)
            if value and self._sizes[:, index].any()
        }
