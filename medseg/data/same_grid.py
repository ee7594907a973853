"""Brings a reference onto the very grid of its image where both are one grid, stored or written differently."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

from medseg.types import Geometry, LabelMap
from medseg.types.axis_order import AxisOrder

# Fraction of the finest spacing by which corners may miss each other: what headers written by several tools differ by,
# and far less than a contour is drawn to.
DRIFT = 0.1
ORDER, SHIFTED = "reference-order", "reference-drift"


def onto_same_grid(labels: LabelMap, grid: Geometry, where: Path) -> tuple[LabelMap, tuple[tuple[str, str], ...]]:
    """Labels on the image's grid, and what was done to have them there: kinds and messages.

    Axes in another order or direction are brought into the image's, without touching a value; corners that miss each
    other by less than a tenth of a voxel count as equal. Anything else is a `GeometryMismatch`.
    """
    notes: list[tuple[str, str]] = []
    array, own = labels.array, labels.geometry
    if not grid.matches(own) and (order := _order(own, grid)) not in (None, AxisOrder()):
        assert order is not None
        array, own = order.apply(array), order.geometry(own)
        text = f"{where.name} is stored as {labels.geometry.orientation}, the image as {grid.orientation}"
        notes.append((ORDER, f"{text}; it was brought into the image's order."))
    if not grid.matches(own):
        off = grid.difference(own) / min(grid.spacing)
        if off > DRIFT:
            grid.match(labels.geometry, what="image and reference", where=where)
        notes.append((SHIFTED, f"{where.name} lies {off:.2g} voxels beside the image, which was taken as equal."))
    return LabelMap(array, grid, labels.table), tuple(notes)


def drifts_little(grid: Geometry, other: Geometry) -> bool:
    """Whether two grids differ by no more than a tenth of a voxel."""
    return grid.difference(other) <= DRIFT * min(grid.spacing)


def _order(source: Geometry, target: Geometry) -> AxisOrder | None:
    """The order of axes that brings one grid onto another; None where none does."""
    for axes, flips in product(permutations(range(3)), product((False, True), repeat=3)):
        order = AxisOrder((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))
        if order.select(source.shape) == target.shape and drifts_little(target, order.geometry(source)):
            return order
    return None
