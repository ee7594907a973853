"""Which losses of structures a configuration asks for, and their weighted sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medseg.training.config import LossConfig, TrainConfig
from medseg.training.losses import class_truth, in_background, region_truth
from medseg.training.structures.boundaries import boundary_loss
from medseg.training.structures.centerlines import cldice_loss, skeleton_recall_loss
from medseg.training.structures.contacts import contact_loss
from medseg.training.structures.small_objects import blob_loss


@dataclass(frozen=True, eq=False)
class StructureLoss:
    """Weighted sum of the losses of structures, at full resolution, of exclusive classes or of regions.

    Parameters
    ----------
    config : LossConfig
        Weights; a loss of weight 0 is not computed.
    ignore : int, optional
        Voxels of this value do not count.
    regions : Tensor of float, shape (parts + 1, regions), optional
        1 where a part belongs to a region, where classes are regions that may overlap.
    spacing : sequence of float, optional
        mm along the network's axes; alike along all by default.
    """

    config: LossConfig
    ignore: int | None = None
    regions: Tensor | None = None
    spacing: Sequence[float] | None = None

    @classmethod
    def from_config(cls, config: TrainConfig, *, ignore: int | None, regions: Tensor | None) -> StructureLoss:
        """Return the losses of a run; its spacing is that of the input where this says one along every axis."""
        spacing = (config.input.spacing or ())[: config.network.dimensions]
        known = tuple(mm for mm in spacing if mm is not None)
        return cls(config.loss, ignore, regions, known if len(known) == config.network.dimensions else None)

    def __call__(self, scores: Tensor | Sequence[Tensor], labels: Tensor, annotated: Tensor | None = None) -> Tensor:
        """Loss of scores, finest resolution first, for labels and what each sample annotates as other losses have it.

        A class that a sample does not annotate counts as part of its background; such a region does not count.
        """
        finest = scores if isinstance(scores, Tensor) else scores[0]
        if not any(getattr(self.config, name) for name in ("cldice", "skeleton_recall", "blob", "boundary", "contact")):
            return torch.zeros((), device=finest.device)
        if self.regions is not None:
            probabilities = finest.float().sigmoid()
            truth, counted = region_truth(labels, self.regions, self.ignore)
            if annotated is not None:
                counted = counted * annotated[(...,) + (None,) * (counted.dim() - 2)]
            return self._sum(probabilities, truth, counted)
        if annotated is not None:
            finest = in_background(finest, annotated)
        every, known = class_truth(labels, finest.shape[1], self.ignore)
        return self._sum(finest.float().softmax(1)[:, 1:], every[:, 1:], known)

    def _sum(self, probabilities: Tensor, truth: Tensor, counted: Tensor | None) -> Tensor:
        if counted is not None:
            probabilities, truth = probabilities * counted, truth * counted
        return torch.stack(list(self._terms(probabilities, truth, counted))).sum()

    def _terms(self, probabilities: Tensor, truth: Tensor, counted: Tensor | None) -> Iterator[Tensor]:
        config = self.config
        if config.cldice:
            yield config.cldice * cldice_loss(probabilities, truth, iterations=config.cldice_iterations)
        if config.skeleton_recall:
            yield config.skeleton_recall * skeleton_recall_loss(probabilities, truth, over_batch=config.batch_dice)
        if config.blob:
            yield config.blob * blob_loss(probabilities, truth)
        if config.boundary:
            spacing = self.spacing or (1.0,) * (truth.dim() - 2)
            yield config.boundary * boundary_loss(probabilities, truth, counted, spacing)
        if config.contact:
            yield config.contact * contact_loss(probabilities, truth)
