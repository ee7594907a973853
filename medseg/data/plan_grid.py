"""The grid a network is planned for: spacing, axis order, and the patch and batch that fit a machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from medseg.data.dataset import Dataset
from medseg.data.fingerprint import Fingerprint
from medseg.data.presets import Preset
from medseg.data.topology import Topology, feature_voxels, topology_of
from medseg.errors import InputError

Configuration = Literal["2d", "3d_fullres", "3d_lowres"]

# nnU-Net's limits.
ANISOTROPY = 3.0
LOW_RESOLUTION_BELOW = 0.25
# Of a patch, what the smallest class may take where steps are few, and how much longer voxels may become for that.
# Nothing coarser was measured (docs/benchmarks/arena.md).
MOST_OF_PATCH = 0.1
COARSEST = 2.0
SPACING_STEP = 1.03
DATASET_FRACTION = 0.05
SMALLEST_BATCH = 2
CROP_BELOW = 0.75


class GridPlanner:
    """Plans the grid of one configuration; `reasons` holds the reason of each choice made so far."""

    def __init__(self, data: Dataset, fingerprint: Fingerprint, preset: Preset, configuration: Configuration) -> None:
        self.data, self.fingerprint, self.preset, self.configuration = data, fingerprint, preset, configuration
        self.crop = fingerprint.kept < CROP_BELOW
        self.reasons: dict[str, str] = {}

    def spacing(self) -> tuple[float, float, float]:
        """Median spacing; along a coarse axis the 10th percentile, so that the best scans are not blurred."""
        spacings = self.fingerprint.spacings
        target = np.median(spacings, axis=0)
        shape = self._median_shape(target)
        worst = int(np.argmax(target))
        others = [axis for axis in range(3) if axis != worst]
        reason = "Median of all cases"
        if (
            self.data.dimensions == 3
            and target[worst] > ANISOTROPY * max(target[others])
            and shape[worst] * ANISOTROPY < min(shape[others])
        ):
            finer = float(np.percentile(spacings[:, worst], 10))
            target[worst] = max(max(target[others]) + 1e-5, finer) if finer < max(target[others]) else finer
            reason += f"; along {'xyz'[worst]}, where slices are thick, the 10th percentile"
        if self.data.dimensions == 3:
            self.reasons["input.spacing"] = f"{reason}."
        return float(target[0]), float(target[1]), float(target[2])

    def _median_shape(self, target: Any) -> Any:
        shapes = self.fingerprint.shapes(cropped=self.crop) * self.fingerprint.spacings / target
        return np.maximum(1, np.round(np.median(shapes, axis=0)))

    def axis_order(self, spacing: Sequence[float]) -> tuple[int, int, int]:
        """A 2D network sees the planes of the finest resolution: the coarsest axis goes last."""
        if self.configuration != "2d" or self.data.dimensions == 2:
            return (0, 1, 2)
        across = int(np.argmax(spacing))
        first, second = (axis for axis in range(3) if axis != across)
        self.reasons["input.axis_order"] = f"Slices lie across {'xyz'[across]}, the axis of the largest spacing."
        return first, second, across

    def coarser(self, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        """Coarsen until a patch covers a quarter of the median scan."""
        full, _ = self.patch(spacing, (0, 1, 2))
        median = self._median_shape(np.array(spacing))
        if math.prod(full.patch) / np.prod(median) >= LOW_RESOLUTION_BELOW:
            raise InputError(
                "a patch of full resolution already covers a quarter of the median scan",
                where=self.data.folder,
                fix="Use --configuration 3d_fullres.",
            )
        target = np.array(spacing)
        while True:
            target = _coarser_step(target)
            topology, _ = self.patch(tuple(target), (0, 1, 2))
            if math.prod(topology.patch) / np.prod(self._median_shape(target)) > LOW_RESOLUTION_BELOW:
                break
        self.reasons["input.spacing"] = (
            f"Coarsened from {' x '.join(f'{s:.3g}' for s in spacing)} mm until a patch covers a quarter of the scan."
        )
        return float(target[0]), float(target[1]), float(target[2])

    def showing_classes(self, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        """Coarsen until the smallest class takes a tenth of a patch at most, or voxels are twice as long.

        Where a patch holds little but a class, a network learns its inside and not what lies around it, and finds it
        everywhere. Small classes are not lost by this: where one is small, the grid stays as it is.
        """
        if (smallest := self._smallest_class()) is None:
            return spacing
        name, volume = smallest
        first = target = np.array(spacing)
        while True:
            topology, _ = self.patch(tuple(target), (0, 1, 2))
            largest = (target / first).max()
            if volume <= MOST_OF_PATCH * math.prod(topology.patch) * target.prod() or largest >= COARSEST:
                break
            target = np.minimum(_coarser_step(target), COARSEST * first)
        if largest > 1:
            self.reasons["input.spacing"] = (
                f"Coarsened from {' x '.join(f'{s:.3g}' for s in spacing)} mm until the smallest class, {name}, takes "
                f"at most {MOST_OF_PATCH:.0%} of a patch or voxels are twice as long, as there are few steps."
            )
        return float(target[0]), float(target[1]), float(target[2])

    def _smallest_class(self) -> tuple[str, float] | None:
        """The class of the smallest median volume over the cases that have it, and that volume in mm3."""
        volumes: dict[str, list[float]] = {}
        for case in self.fingerprint.cases:
            for name, voxels in case.voxels.items():
                if voxels:
                    volumes.setdefault(name, []).append(voxels * math.prod(case.spacing))
        medians = {name: float(np.median(found)) for name, found in volumes.items()}
        return min(medians.items(), key=lambda one: one[1], default=None)

    def patch(self, spacing: Sequence[float], order: Sequence[int]) -> tuple[Topology, int]:
        """Largest patch of the median scan's shape that fits the budget, then the largest batch."""
        flat = self.configuration == "2d"
        axes = list(order[:2] if flat else order)
        steps = [spacing[axis] for axis in axes]
        median = self._median_shape(np.array(spacing))[axes]
        budget = self.preset.budget_2d if flat else self.preset.budget_3d
        side = 2048 if flat else 256
        inverse = 1 / np.array(steps)
        wanted = inverse * (side ** len(axes) / np.prod(inverse)) ** (1 / len(axes))
        patch = [max(1, round(min(w, m))) for w, m in zip(wanted, median, strict=True)]
        topology = self._topology(steps, patch)
        most = 1.0 if flat else self.preset.most_of_scan
        if most < 1:
            # In multiples of what the whole scan would be pooled by, so that the network stays as deep.
            bounds = [max(k, round(most * m / k) * k) for m, k in zip(median, topology.multiple, strict=True)]
            topology = self._topology(steps, [min(p, b) for p, b in zip(patch, bounds, strict=True)])
        while self._held(topology) > budget:
            ratios = [p / m for p, m in zip(topology.patch, median, strict=True)]
            axis = int(np.argsort(ratios, kind="stable")[-1])
            smaller = list(topology.patch)
            smaller[axis] -= topology.multiple[axis]
            smaller[axis] = topology.patch[axis] - self._topology(steps, smaller).multiple[axis]
            if smaller[axis] < 1:
                break
            topology = self._topology(steps, smaller)
        held = self._held(topology)
        reference = self.preset.batch_2d if flat else self.preset.batch_3d
        fits = round(budget / held * reference)
        voxels = float(np.prod(self._median_shape(np.array(spacing)))) * len(self.fingerprint.cases)
        of_dataset = round(voxels * DATASET_FRACTION / math.prod(topology.patch))
        largest = self.preset.most_2d if flat else self.preset.most_3d
        batch = max(min(fits, of_dataset, largest), SMALLEST_BATCH)
        self.reasons["input.patch"] = (
            f"As much of the median scan ({' x '.join(f'{m:.0f}' for m in median)} voxels) as the preset "
            f"{self.preset.name} holds, {f'up to {most:.0%} along each axis, ' if most < 1 else ''}in multiples of "
            f"{' x '.join(map(str, topology.multiple))} voxels."
        )
        cap = ""
        if of_dataset < min(fits, largest):
            cap = f", capped at {DATASET_FRACTION:.0%} of the dataset's voxels"
        elif largest < fits:
            cap = f", capped at {largest} by the preset {self.preset.name}"
        self.reasons["sampling.batch"] = f"Batch size {batch}: memory fits {fits}{cap}, minimum {SMALLEST_BATCH}."
        self.reasons["network.arguments.features"] = (
            f"{self._base} channels doubling to at most {self._largest} over {len(topology.strides)} stages; an axis "
            "is halved while its map keeps 4 voxels and its spacing stays within twice the finest."
        )
        return topology, batch

    def _topology(self, spacing: Sequence[float], patch: Sequence[int]) -> Topology:
        return topology_of(spacing, patch, most_stages=self.preset.most_stages)

    def _held(self, topology: Topology) -> int:
        return feature_voxels(topology, self.features(len(topology.strides)), self.data.n_outputs)

    @property
    def _base(self) -> int:
        return self.preset.base_2d if self.configuration == "2d" else self.preset.base_3d

    @property
    def _largest(self) -> int:
        return self.preset.largest_2d if self.configuration == "2d" else self.preset.largest_3d

    def features(self, stages: int) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(min(self._largest, self._base * 2**k) for k in range(stages))


def _coarser_step(spacing: Any) -> Any:
    """A step coarser; the finest axes first, so that the grid becomes isotropic before it becomes coarse."""
    finest = spacing < spacing.max() / 2 if spacing.max() / spacing.min() > 2 else np.ones(3, bool)
    return np.where(finest, spacing * SPACING_STEP, spacing)
