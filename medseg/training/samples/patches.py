"""Draws patches from prepared cases: sample i is a function of seed and i alone, so a run can resume from any step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medseg.training.config import SamplingConfig
from medseg.training.distributed import ALONE, Processes
from medseg.training.samples.polarity import by_polarity
from medseg.training.samples.prepared import PreparedCase

Triple = tuple[int, int, int]

# Batches read ahead of the one in use.
AHEAD = 3


@dataclass(frozen=True, eq=False)
class Batch:
    """Regions that go through the network together.

    `first` is the number in the run of the first of N samples; images (N, C, *region) are float32 intensities, labels
    (N, *region) int64 parts; annotated (N, outputs) which outputs of the network the labels annotate, None where each
    annotates all.
    """

    first: int
    images: Tensor
    labels: Tensor
    annotated: Tensor | None = None


class Patches:
    """Batches of regions, each as much larger than a patch as its augmentation needs, around places drawn at random.

    Every case comes once before any comes again, in a new order each time; with `balance_polarity` every case of its
    kind, and the kinds take turns. A fraction of the patches is centered on a
    voxel of a class, or as near as the scan's edge allows: a class of the case drawn at random, then a voxel of it
    (nnU-Net's oversampling of foreground). The others lie anywhere in the scan, every place inside it as likely as any.

    Parameters
    ----------
    cases : sequence of PreparedCase
        What to draw from.
    patch : tuple of int
        The network's input, voxels along x, y, z.
    sampling : SamplingConfig
        Regions in a batch, and fraction of patches centered on a class.
    seed : int
        Another seed draws others.
    processes : Processes
        Those that draw together, each every `count`-th batch.
    """

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        patch: Triple,
        sampling: SamplingConfig,
        *,
        seed: int,
        processes: Processes = ALONE,
    ) -> None:
        self.cases = tuple(cases)
        self.patch = patch
        self.region_of: Callable[[int], Triple] = lambda _number: patch
        self.foreground = sampling.foreground
        self.size = sampling.batch
        self.seed = seed
        self.processes = processes
        self.kinds = by_polarity(self.cases) if sampling.balance_polarity else (self.cases,)
        self._order = lru_cache(maxsize=4 * len(self.kinds))(self._shuffled)

    def with_regions(self, region_of: Callable[[int], Triple]) -> Patches:
        """Draw regions that may be larger than the patch; return these patches.

        - `region_of`: size of the region that a sample needs, by its number: the patch's, or larger by an even number
          of voxels. Regions of a batch are as large as the largest of them.
        """
        self.region_of = region_of
        return self

    def batch(self, number: int) -> Batch:
        """Batch of this process, counted from 0; the processes' batches of one number follow each other."""
        first = (number * self.processes.count + self.processes.rank) * self.size
        needed = [self.region_of(first + k) for k in range(self.size)]
        x, y, z = (max(sizes) for sizes in zip(*needed, strict=True))
        samples = [self.sample(first + k, (x, y, z)) for k in range(self.size)]
        images = torch.from_numpy(np.stack([image for image, _ in samples]))
        labels = torch.from_numpy(np.stack([label for _, label in samples]).astype(np.int64))
        return Batch(first, images, labels, self._annotated([self._case(first + k) for k in range(self.size)]))

    def batches(self, start: int, stop: int | None = None) -> Generator[Batch, None, None]:
        """Batches from `start` on, read ahead by a thread while the caller computes."""
        with ThreadPoolExecutor(1, thread_name_prefix="patches") as pool:
            waiting: list[Future[Batch]] = []
            number = start
            try:
                while True:
                    while len(waiting) < AHEAD and (stop is None or number < stop):
                        waiting.append(pool.submit(self.batch, number))
                        number += 1
                    if not waiting:
                        return
                    yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()

    def sample(self, i: int, region: Triple | None = None) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """Image ``(C, *region)`` and labels ``region`` of sample i; by default as large as its augmentation needs."""
        region = region or self.region_of(i)
        random = np.random.default_rng([self.seed, 1, i])
        case = self._case(i)
        start = self._start(case, random)
        corner = [s - (r - p) // 2 for s, r, p in zip(start, region, self.patch, strict=True)]
        image, labels = case.open()
        return extract(image, corner, region, 0.0), extract(labels[None], corner, region, 0)[0]

    def _case(self, i: int) -> PreparedCase:
        number, which = divmod(i, len(self.kinds))
        kind = self.kinds[which]
        turn, position = divmod(number, len(kind))
        return kind[int(self._order(turn, len(kind))[position])]

    def _annotated(self, cases: Sequence[PreparedCase]) -> Tensor | None:
        outputs = next((len(case.annotated) for case in cases if case.annotated is not None), None)
        if outputs is None:
            return None
        return torch.tensor([case.annotated or (True,) * outputs for case in cases])

    def _start(self, case: PreparedCase, random: np.random.Generator) -> list[int]:
        """First voxel of a patch along each axis; negative where the scan is smaller, which lies in its middle."""
        slack = [n - p for n, p in zip(case.shape, self.patch, strict=True)]
        forced = random.random() < self.foreground
        present = sorted(case.foreground)
        if forced and present:
            places = case.foreground[present[random.integers(len(present))]]
            voxel = places[random.integers(len(places))]
            wanted = [int(v) - p // 2 for v, p in zip(voxel, self.patch, strict=True)]
        else:
            # A center drawn in the scan and then moved inside would start most large patches at its very edge.
            wanted = [int(random.integers(max(r, 0) + 1)) for r in slack]
        return [min(max(w, 0), r) if r >= 0 else -(-r // 2) for w, r in zip(wanted, slack, strict=True)]

    def _shuffled(self, turn: int, count: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng([self.seed, 0, turn]).permutation(count)


def extract(array: npt.NDArray[Any], corner: Sequence[int], size: Sequence[int], fill: float) -> npt.NDArray[Any]:
    """Copy a region (C, *size) of an array (C, X, Y, Z), whose outside is filled; `corner` may be negative."""
    result = np.full((array.shape[0], *size), fill, dtype=array.dtype)
    source: list[slice] = []
    target: list[slice] = []
    for first, length, end in zip(corner, size, array.shape[1:], strict=True):
        low, high = max(first, 0), min(first + length, end)
        if low >= high:
            return result
        source.append(slice(low, high))
        target.append(slice(low - first, high - first))
    result[(slice(None), *target)] = array[(slice(None), *source)]
    return result
