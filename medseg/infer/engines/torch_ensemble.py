"""Counts on its own device how far the members of an ensemble in PyTorch agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from medseg.infer.agreement import EnsembleAgreement


def found_in(scores: torch.Tensor, threshold: float | None) -> torch.Tensor:
    """What scores (N, K, ...) stand for, in as few bytes as it takes.

    - returns: of the largest score the index, shape (N, ...), or of each region whether it is present, shape (N, K,
      ...).
    """
    if threshold is not None:
        return scores > threshold
    return scores.argmax(dim=1).to(torch.uint8 if scores.shape[1] <= 256 else torch.int32)


def compare(agreement: EnsembleAgreement, members: Sequence[torch.Tensor], average: torch.Tensor) -> None:
    """Tell how far each member's finding, as `found_in` gives it, agrees with the average's."""
    count = len(agreement.values)
    for number, member in enumerate(members):
        if agreement.threshold is None:
            pairs = member.flatten().int() * count + average.flatten()
            joint = torch.bincount(pairs, minlength=count**2).reshape(count, count)
            shared, sizes = joint.diagonal(), joint.sum(1) + joint.sum(0)
        else:
            rest = [0, *range(2, member.ndim)]
            shared, sizes = (member & average).sum(dim=rest), member.sum(dim=rest) + average.sum(dim=rest)
        agreement.add_counts(number, shared.cpu().numpy(), sizes.cpu().numpy())
