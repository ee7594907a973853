"""What a case will take before it is begun, so that it is cut into strips or rejected, never killed by the system."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from medseg.errors import ResourceLimit
from medseg.infer import labels_from_scores
from medseg.infer.axis_map import Strip
from medseg.infer.decision import Decision
from medseg.prepare import blockwise
from medseg.prepare.route import Route
from medseg.threads import CORES

FLOAT = 4
# Bytes a voxel of the block in hand takes: float32 copy, its resampled rows, and what NumPy holds in between.
PREPARED_BLOCK = 16
# Bytes a voxel of the planes being labeled takes: its outcome twice, and, where it is mixed, three indices, three
# weights and its place. A seventh of mixed voxels is far more than borders of organs make.
LABELED_VOXEL = 14
# Bytes a voxel of the network's grid takes while its slab is decided: outcome, best score, comparison, both extremes.
DECIDED_VOXEL = 12
# Arrays of a few MB each that `Borders` gathers into, in each thread.
GATHERING = 24 << 20
# More strips than this are mostly the same windows again.
MOST_STRIPS = 8


@dataclass(frozen=True)
class Need:
    """Memory a case will take beyond what the process holds already, in bytes, by what takes it.

    - `preparing`: at the most while the scan is brought onto the network's grid.
    - `prepared`, `slab`, `network`, `deciding`, `labels`, `scores`: together, while the network runs.
    """

    preparing: int
    prepared: int
    slab: int
    network: int
    deciding: int
    labels: int
    scores: int

    @property
    def total(self) -> int:
        """The larger of the two."""
        running = self.prepared + self.slab + self.network + self.deciding + self.labels + self.scores
        return max(self.preparing, running)

    def __str__(self) -> str:
        parts = {
            "slab of outputs": self.slab,
            "prepared scan": self.prepared,
            "network": self.network,
            "labels": self.labels + self.deciding,
            "probabilities kept": self.scores,
        }
        named = ", ".join(f"{name} {_gb(size)}" for name, size in parts.items() if size > self.total / 20)
        return f"{_gb(self.total)} ({named})"


def predict_need(
    route: Route,
    *,
    channels: int,
    decision: Decision,
    patch: tuple[int, int, int],
    batch: int,
    network: int,
    kept: int,
    strips: Sequence[Strip],
    partial: bool = False,
    features: int | None = None,
) -> Need:
    """Predict what a case takes.

    - `network`: bytes the engine takes while it runs, its weights not counted.
    - `kept`: arrays of float32 on the scan's grid kept in memory besides the labels: scores and entropies.
    - `features`: channels that the engine gives for a window, where the last layer is computed apart.
    - `partial`: whether windows may be skipped, so that what each voxel's scores are made of is counted beside them.
    """
    padded = math.prod(route.padded_size)
    source, boxed = math.prod(route.source.shape), math.prod(route.box.shape)
    across = route.size[0] * route.size[1]
    prepared = channels * padded * FLOAT
    changes = route.size[2] != route.box.shape[2]
    between = across * route.box.shape[2] * FLOAT if changes else 0
    plane = route.box.shape[0] * route.box.shape[1]
    block = PREPARED_BLOCK * min(boxed, CORES * max(plane, blockwise.BLOCK))
    widest = max(strip.network.stop - strip.network.start for strip in strips)
    width = route.padded_size[1] if len(strips) == 1 else widest
    classes = decision.channels
    # Where probabilities are interpolated, they stand beside the scores they were made of.
    copies = 1 if decision.output == decision.interpolated else 2
    depth = min(patch[2], route.size[2]) + 1
    slab = (copies * classes + partial) * route.padded_size[0] * width * depth * FLOAT
    given = 2 * classes if features is None else features
    windows = batch * math.prod(patch) * (channels + given) * FLOAT
    labeled = max(labels_from_scores.BLOCK, plane)
    threads = min(CORES, math.ceil(source / labeled))
    deciding = DECIDED_VOXEL * route.padded_size[0] * width * depth
    deciding += LABELED_VOXEL * min(source, threads * labeled) + threads * GATHERING
    item = 1 if max(decision.written) <= 255 else 2
    return Need(
        prepared + between + block, prepared, slab, network + windows, deciding, item * source, kept * source * FLOAT
    )


def strips_that_fit(need_of: Callable[[int], Need], available: int, *, most: int = MOST_STRIPS) -> int:
    """Smallest number of strips with which a case fits."""
    needs = []
    for count in range(1, most + 1):
        needs.append(need_of(count))
        if needs[-1].total <= available:
            return count
    least = min(needs, key=lambda need: need.total)
    raise ResourceLimit(
        f"the case needs about {least} of memory, {_gb(available)} are free",
        fix="Close other programs, use a machine with more memory, or omit --save probabilities if it was given.",
    )


def available_bytes() -> int:
    """Bytes this process may still take: free on the machine, and within the limit of its container."""
    free = int(psutil.virtual_memory().available)
    for folder, limit, used in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            free = min(free, int(Path(folder, limit).read_text()) - int(Path(folder, used).read_text()))
        except (OSError, ValueError):  # not Linux, not in a container, or "max"
            continue
    return max(0, free)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
