"""Dice in a few patches of held-out cases after each epoch: the curve that shows whether a run still learns.

As nnU-Net's pseudo Dice (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), it looks at patches, not at scans, and
comes out higher or lower than the Dice that is measured when the run has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor

from medseg.data.dataset import DatasetCase
from medseg.training.config import SamplingConfig
from medseg.training.samples.inputs import Inputs
from medseg.training.samples.patches import Patches
from medseg.training.samples.prepared import IGNORED, prepare_cases

# So few that they take about a hundredth of an epoch's time.
PATCHES = 8
DICE = "validation_dice"


@dataclass(frozen=True, eq=False)
class HeldOutPatches:
    """Patches around classes of held-out cases, always the same.

    Images (N, C, X, Y, Z) as prepared; `truth` and `counted` (N, outputs, X, Y, Z): where each output but the
    background's should be, and where the reference says so.
    """

    images: Tensor
    truth: Tensor
    counted: Tensor
    is_exclusive: bool

    def dice(self, scores_of: Callable[[Tensor], Tensor]) -> float:
        """Mean over the classes in the patches of twice the overlap over the sum of sizes, of all patches together.

        `scores_of` gives the network's scores (1, outputs, X, Y, Z) of one patch.
        """
        found = torch.cat([self._found(scores_of(image[None]).cpu()) for image in self.images])
        truth = self.truth & self.counted
        axes = (0, 2, 3, 4)
        present = truth.sum(axes) > 0
        size = (found & self.counted).sum(axes) + truth.sum(axes)
        return float(mean((2 * (found & truth).sum(axes)[present] / size[present]).tolist()))

    def _found(self, scores: Tensor) -> Tensor:
        if not self.is_exclusive:
            return scores > 0
        chosen = scores.argmax(1, keepdim=True)
        return torch.cat([chosen == n for n in range(1, scores.shape[1])], 1)


def held_out_patches(inputs: Inputs) -> HeldOutPatches | None:
    """Draw patches of the held-out cases; None where none are held out, or where the patches show no class."""
    run = inputs.run
    cases, _ = prepare_cases(
        run.dataset, _spread(inputs.held_out), run.config.input, run.prepared, inputs.low_resolution
    )
    if not cases:
        return None
    sampling = SamplingConfig(batch=PATCHES, foreground=1.0)
    batch = Patches(cases, run.config.input.patch, sampling, seed=0).batch(0)
    parts = run.dataset.regions.values() if run.dataset.regions else [(part,) for part in run.dataset.parts]
    number = {part: n for n, part in enumerate(run.dataset.parts, start=1)}
    truth = torch.stack(
        [torch.isin(batch.labels, torch.tensor([number[part] for part in region])) for region in parts], 1
    )
    counted = (batch.labels != IGNORED)[:, None].expand_as(truth)
    if batch.annotated is not None:
        annotated = batch.annotated if run.dataset.regions else batch.annotated[:, 1:]
        counted = counted & annotated[:, :, None, None, None]
    if not (truth & counted).any():
        return None
    return HeldOutPatches(batch.images, truth, counted, not run.dataset.regions)


def _spread(cases: tuple[DatasetCase, ...]) -> tuple[DatasetCase, ...]:
    """As many of the cases as there are patches, from the first to the last."""
    return cases[:: -(-len(cases) // PATCHES) or 1]
