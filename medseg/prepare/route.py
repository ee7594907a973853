"""The route of a scan onto a network's grid, and everything needed to come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medseg.prepare.card import InputCard
from medseg.prepare.resample import aligned_size, resampled_size, separate_axis
from medseg.types import Geometry, Scan
from medseg.types.axis_order import AxisOrder, toward
from medseg.types.box import Box, box_above, nonzero_box

Triple = tuple[float, float, float]
Steps = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class Route:
    """How a scan's grid and a network's grid are related; the second is an exact function of the first.

    - `order`: from the scan's axes to the network's.
    - `box`: what was kept, on the ordered axes.
    - `size`: voxels of the box on the network's grid.
    - `padding`: voxels of 0 added before and after along each axis, because the network's patch is larger.
    - `spacing`: mm between the network grid's voxels.
    - `separate`, `separate_back`: the axis along which slices are too far apart to interpolate between, on the way in
      and on the way back.
    - `steps`: voxels of the box between voxels of the network's grid along each axis, where the first voxels' centers
      coincide; None where the outer edges do.
    """

    source: Geometry
    order: AxisOrder
    box: Box
    size: tuple[int, int, int]
    padding: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    spacing: tuple[float, float, float]
    separate: int | None
    separate_back: int | None
    steps: Steps = (None, None, None)

    @property
    def padded_size(self) -> tuple[int, int, int]:
        """Voxels of the network's grid."""
        x, y, z = (n + a + b for n, (a, b) in zip(self.size, self.padding, strict=True))
        return x, y, z

    def padded_to(self, window: Sequence[int]) -> Route:
        """Return the same route, with as much padding as a window of this size makes necessary."""
        missing = [max(0, side - n) for side, n in zip(window, self.size, strict=True)]
        a, b, c = ((m // 2, m - m // 2) for m in missing)
        return replace(self, padding=(a, b, c))

    @property
    def inner(self) -> tuple[slice, slice, slice]:
        """Where on the network's grid the box lies, without padding."""
        x, y, z = (slice(a, a + n) for n, (a, _) in zip(self.size, self.padding, strict=True))
        return x, y, z

    @property
    def geometry(self) -> Geometry:
        """The network's grid in the world."""
        ordered = self.order.geometry(self.source)
        edges = np.array(self.box.shape) / np.array(self.size)
        scale = np.array([edge if step is None else step for edge, step in zip(edges, self.steps, strict=True)])
        # Where the first voxel's center lies, counted from that of the box.
        first = np.array([(e - 1) / 2 if step is None else 0.0 for e, step in zip(edges, self.steps, strict=True)])
        to_ordered = np.diag([*scale, 1.0])
        before = np.array([a for a, _ in self.padding])
        to_ordered[:3, 3] = np.array(self.box.start) + first - scale * before
        return Geometry(ordered.affine @ to_ordered, self.padded_size)


def plan_route(scan: Scan, card: InputCard) -> Route:
    """Plan a scan's route onto the network's grid without touching its intensities, the crop to nonzero excepted."""
    order = toward(scan.geometry, card.orientation).then(card.axis_order)
    ordered = order.apply(scan.array)
    shape: tuple[int, int, int] = order.select(scan.geometry.shape)
    box = Box.whole(shape)
    if card.crop_to_nonzero:
        box = nonzero_box(ordered)
    elif card.crop_above is not None:
        box = box_above(ordered, card.crop_above)
    current: tuple[float, float, float] = order.select(scan.geometry.spacing)
    wanted = card.spacing or (None, None, None)
    x, y, z = (now if want is None else want for now, want in zip(current, wanted, strict=True))
    aligned = card.resampling.aligned == "centers"
    size_at = aligned_size if aligned else resampled_size
    i, j, k = (
        n if want is None else size_at(n, now, want) for n, now, want in zip(box.shape, current, wanted, strict=True)
    )
    size = (i, j, k)
    spacing = (x, y, z)
    separate, back = _separate(card, current, spacing), _separate(card, spacing, current)
    u, v, w = (want / now if aligned else None for now, want in zip(current, spacing, strict=True))
    none = ((0, 0), (0, 0), (0, 0))
    return Route(scan.geometry, order, box, size, none, spacing, separate, back, (u, v, w)).padded_to(card.patch)


def _separate(card: InputCard, current: Triple, wanted: Triple) -> int | None:
    if card.resampling.separate_slices is None:
        return separate_axis(current, wanted)
    return int(np.argmax(current)) if card.resampling.separate_slices else None
