"""How far an ensemble's members agree, gathered from the windows as they are computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from medseg.infer.decision import Decision

__all__ = ["MemberAgreement"]


class MemberAgreement:
    """Mean Dice of each member's labels with those of the average, over all windows of a case.

    A window is seen by all members while it is in the processor's cache, so this costs a comparison and no pass. Where
    windows overlap a voxel counts as often as it is seen.

    Parameters
    ----------
    values : tuple of int
        Label value of each score; of scores for regions, of each region.
    members : int
        Networks in the ensemble.
    threshold : float, optional
        For regions, above which one is present; None where the largest score wins.
    """

    def __init__(self, values: tuple[int, ...], members: int, threshold: float | None) -> None:
        self._values, self._threshold = values, threshold
        self._shared = torch.zeros(members, len(values), dtype=torch.float64)
        self._sizes = torch.zeros(members, len(values), dtype=torch.float64)

    def reset(self) -> None:
        """Begin a new case."""
        self._shared.zero_()
        self._sizes.zero_()

    @classmethod
    def of(cls, decision: Decision, members: int) -> MemberAgreement:
        """Return one for what a model's scores stand for."""
        if decision.regions:
            return cls(decision.values[1:], members, 0.5 if decision.output == "probabilities" else 0.0)
        return cls(decision.values, members, None)

    def add(self, members: Sequence[torch.Tensor], average: torch.Tensor) -> None:
        """Compare what each member found, as `found` gives it, with the average scores (N, K, ...) of some windows."""
        wanted = self.found(average)
        sizes = self._count(wanted)
        for number, found in enumerate(members):
            if self._threshold is None:
                same = torch.where(found == wanted, wanted, -1) + 1
                shared = torch.bincount(same.flatten().int(), minlength=len(self._values) + 1)[1:]
            else:
                shared = self._count(found & wanted)
            self._shared[number] += shared.cpu()
            self._sizes[number] += (self._count(found) + sizes).cpu()

    def by_value(self) -> dict[int, float]:
        """Mean Dice over members for each label value that any of them found, background left out."""
        dice = 2 * self._shared / self._sizes.clamp(min=1)
        return {
            value: float(dice[:, index].mean())
            for index, value in enumerate(self._values)
            if value and self._sizes[:, index].sum() > 0
        }

    def found(self, scores: torch.Tensor) -> torch.Tensor:
        """What scores (N, K, ...) stand for, in as few bytes as it takes."""
        if self._threshold is not None:
            return scores > self._threshold
        return scores.argmax(dim=1).to(torch.int16)

    def _count(self, found: torch.Tensor) -> torch.Tensor:
        if self._threshold is None:
            return torch.bincount(found.flatten().int(), minlength=len(self._values))
        return found.sum(dim=[0, *range(2, found.ndim)])
