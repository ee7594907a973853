"""Turns a batch of patches into what a network that takes clicks learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import label
from torch import Tensor

from medseg.data.dataset import Dataset
from medseg.infer.clicks.interaction import Interaction, interaction_maps
from medseg.infer.clicks.simulate import random_interaction
from medseg.training.interactive.start_masks import with_errors
from medseg.training.interactive_config import InteractiveConfig
from medseg.training.samples.prepared import IGNORED

Mask = npt.NDArray[np.bool_]
# Streams of random numbers of one seed: those of samples, and those of batches.
OF_SAMPLE, OF_BATCH = 11, 12
# Of single objects, how often one is to be deleted, and how often its neighbor was taken for a part of it.
DELETED, MERGED = 0.2, 0.2
PLACES = 20  # on the background that are tried for an object that is to be deleted


@dataclass(eq=False)
class _Patch:
    """One patch while it is corrected."""

    truth: Mask
    ignored: Mask
    present: Mask
    random: np.random.Generator
    interactions: list[Interaction] = field(default_factory=list)


class Corrections:
    """Draws for each patch a class in hand and a mask with errors, and corrects it by what the network makes of it.

    Before the step that learns, the network is asked, without gradients, what it makes of the corrections so far; the
    next lies in what is then wrong. All of it is a function of the run's seed, the samples' numbers and the network's
    weights, so that a run resumes exactly.

    Parameters
    ----------
    config : InteractiveConfig
        How many, and of what kind.
    dataset : Dataset
        Its classes: any of them is the class in hand.
    seed : int
        Of the run.
    """

    def __init__(self, config: InteractiveConfig, dataset: Dataset, seed: int) -> None:
        self.config, self.seed = config, seed
        self.card = config.to_card()
        number = {part: place for place, part in enumerate(dataset.parts, start=1)}
        # Which numbers in prepared labels make each class.
        self.parts = (
            [tuple(number[part] for part in parts) for parts in dataset.regions.values()]
            if dataset.regions
            else [(place,) for place in number.values()]
        )
        self.has_background_output = not dataset.regions

    def __call__(
        self,
        scores_of: Callable[[Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        first: int,
        annotated: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return images with maps (N, C + 5, X, Y, Z), and labels (N, X, Y, Z) that are 1 where the class in hand is.

        - `scores_of`: what the network gives for such images, (N, 2, X, Y, Z), without gradients.
        - `first`: number of the first sample in the run.
        - `annotated`, shape (N, outputs): outputs for the dataset's classes that a sample annotates.
        """
        numbered = labels.cpu().numpy()
        known = self._classes_known(annotated, len(images))
        rounds = int(np.random.default_rng([self.seed, OF_BATCH, first]).integers(self.config.corrections + 1))
        patches = [self._start(one, first + k, known[k], rounds) for k, one in enumerate(numbered)]
        for number in range(rounds):
            if number:
                self._ask(scores_of, images, patches)
            for patch in patches:
                found = random_interaction(
                    patch.present,
                    patch.truth,
                    patch.random,
                    ignored=patch.ignored,
                    scribbles=self.config.scribbles,
                )
                if found is not None:
                    patch.interactions.append(found)
        target = np.stack([np.where(one.ignored, IGNORED, one.truth) for one in patches]).astype(np.int64)
        return self._shown(images, patches), torch.from_numpy(target).to(labels.device)

    def _ask(self, scores_of: Callable[[Tensor], Tensor], images: Tensor, patches: Sequence[_Patch]) -> None:
        scores = scores_of(self._shown(images, patches)).float().cpu().numpy()
        for patch, one in zip(patches, scores, strict=True):
            patch.present = one[1] > one[0]

    def _shown(self, images: Tensor, patches: Sequence[_Patch]) -> Tensor:
        maps = [
            np.concatenate(
                [one.present[None].astype(np.float32), interaction_maps(one.interactions, one.truth.shape, self.card)]
            )
            for one in patches
        ]
        return torch.cat([images, torch.from_numpy(np.stack(maps)).to(images)], 1)

    def _classes_known(self, annotated: Tensor | None, count: int) -> list[list[int]]:
        """The classes that each sample annotates, by their place."""
        if annotated is None:
            return [list(range(len(self.parts)))] * count
        rows = annotated[:, 1:] if self.has_background_output else annotated
        return [[int(k) for k in np.flatnonzero(row)] or [0] for row in rows.cpu().numpy()]

    def _start(self, labels: npt.NDArray[Any], number: int, known: Sequence[int], rounds: int) -> _Patch:
        """Draw the class in hand, one that is in the patch if there is any, and the mask to correct."""
        random = np.random.default_rng([self.seed, OF_SAMPLE, number])
        values = set(np.unique(labels).tolist())
        here = [k for k in known if values & set(self.parts[k])]
        chosen = (here or list(known))[int(random.integers(len(here or known)))]
        truth, ignored = np.isin(labels, self.parts[chosen]), labels == IGNORED
        if self.config.objects and truth.any():
            return _object_patch(truth, ignored, random, self.config, rounds)
        # Without a correction there must be something to go by.
        is_blank = bool(random.random() < self.config.from_nothing) and rounds > 0 and bool(truth.any())
        present = np.zeros_like(truth) if is_blank else with_errors(truth, random, self.config.error_voxels)
        return _Patch(truth, ignored, present, random)


def _object_patch(
    every: Mask, ignored: Mask, random: np.random.Generator, config: InteractiveConfig, rounds: int
) -> _Patch:
    """One object of a class: to be made, put right, split from its neighbor, or deleted."""
    numbered, count = label(every)
    chosen = int(random.integers(count)) + 1
    truth, kind = numbered == chosen, random.random()
    present = with_errors(truth, random, config.error_voxels)
    if rounds and kind < config.from_nothing:
        present = np.zeros_like(truth)
    elif rounds and kind < config.from_nothing + DELETED:
        truth, present = np.zeros_like(truth), _on_background(present, every, random)
    elif kind < config.from_nothing + DELETED + MERGED and count > 1:
        others = np.argwhere((numbered != chosen) & every)
        away = ((others - np.argwhere(truth).mean(axis=0)) ** 2).sum(axis=1)
        present |= numbered == numbered[tuple(others[int(away.argmin())])]
    return _Patch(truth, ignored, present, random)


def _on_background(mask: Mask, every: Mask, random: np.random.Generator) -> Mask:
    """Return an object where none is, as one that was found wrongly; where no place was found, as it is."""
    for _ in range(PLACES):
        moved = np.roll(mask, [int(random.integers(n)) for n in mask.shape], axis=tuple(range(mask.ndim)))
        if not (moved & every).any():
            return moved
    return mask
