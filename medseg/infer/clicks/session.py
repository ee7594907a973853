"""Clicks on one scan: prepared once, a patch of the network for each, and the answer on the reader's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from medseg.infer.clicks.grids import sampled
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.model import ZOOMS, ClickModel, coarse_patch, patch_around, reaches_beyond
from medseg.prepare.gray_to_rgb import in_color
from medseg.prepare.prepared import prepare
from medseg.types import Geometry, Scan
from medseg.types.box import Box

Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.floating[Any]]
Triple = tuple[int, int, int]
# A voxel and those that touch it; and the fraction of a scribble's voxels that an answer may contradict, as it may
# reach a little beyond.
AROUND = np.indices((3, 3, 3)).reshape(3, -1).T - 1
MOST_CONTRADICTED = 0.5


@dataclass(frozen=True, eq=False)
class Answer:
    """What the class in hand becomes within a box of the reader's grid, and the coarsest zoom that was looked at."""

    box: Box
    is_class: Mask
    zoom: int


@dataclass(frozen=True, eq=False)
class Present:
    """The mask of the class in hand within a box of the reader's grid; nothing is known of it outside."""

    low: Triple
    mask: Mask


class ClickSession:
    """One scan as the network sees it.

    Parameters
    ----------
    model : ClickModel
        Loaded once for many scans.
    scan : Scan
        Prepared here, as prediction prepares it.
    grid : Geometry, optional
        Whose voxels interactions, masks and answers are in; the scan's own by default, or any that covers the same
        part of the patient with its axes in another order.
    """

    def __init__(self, model: ClickModel, scan: Scan, grid: Geometry | None = None) -> None:
        self.model = model
        self.grid = scan.geometry if grid is None else grid
        card = model.package.card.input
        prepared = prepare(in_color(scan, card)[0], card)
        self.image = np.ascontiguousarray(prepared.array[(slice(None), *prepared.route.inner)])
        inner = np.eye(4)
        inner[:3, 3] = [part.start for part in prepared.route.inner]
        self.to_network: Matrix = np.linalg.inv(prepared.route.geometry.affine @ inner) @ self.grid.affine

    def answer(self, present: Present, interactions: Sequence[Interaction]) -> Answer:
        """Return what becomes of a class after interactions, the oldest first; there must be one.

        The patch lies around the newest of them. Where what changes reaches beyond it, patches of coarser voxels are
        looked at as well, and count outside the finer ones. Only changes of an interaction's kind that hang together
        with it are made, of the newest and of those that were not answered yet: what belongs only adds, what does not
        only takes away, and what is elsewhere stays. What the newest one marks is as it says, whatever the network
        makes of it.
        """
        shape = self.image.shape[1:]
        on_network = [self._on_network(one) for one in interactions]
        center = on_network[-1].center
        parts: list[tuple[Triple, Triple, npt.NDArray[np.float32]]] = []
        for zoom in ZOOMS:
            first, step = patch_around(center.tolist(), self.model.patch, shape, zoom)
            mask = self._present_at(present, first, step)
            image = coarse_patch(self.image, first, step, self.model.patch)
            found = self.model.probability(image, mask, [one.moved(first, step) for one in on_network])
            parts.append((first, step, found))
            if not reaches_beyond((found > 0.5) != mask, first, step, shape):
                break
        box = self._box(*parts[-1][:2])
        before = cut(present, box)
        after = before.copy()
        for first, step, found in reversed(parts):  # finer ones last: they count where there are several
            self._paste(after, box, first, step, found)
        after = corrected(before, after, interactions, box.start)
        return Answer(box, as_marked(after, interactions[-1], box.start), zoom)

    def _on_network(self, one: Interaction) -> Interaction:
        voxels = np.rint(one.voxels @ self.to_network[:3, :3].T + self.to_network[:3, 3]).astype(np.int64)
        return Interaction(np.unique(voxels, axis=0) if len(voxels) > 1 else voxels, one.is_outside)

    def _patch_matrix(self, first: Triple, step: Triple) -> Matrix:
        """From voxels of the reader's grid to those of a patch."""
        matrix = np.diag([*(1 / np.array(step)), 1.0])
        matrix[:3, 3] = (-np.array(first) - (np.array(step) - 1) / 2) / np.array(step)
        result: Matrix = matrix @ self.to_network
        return result

    def _present_at(self, present: Present, first: Triple, step: Triple) -> Mask:
        back = np.linalg.inv(self._patch_matrix(first, step))
        back[:3, 3] -= present.low
        result = sampled(present.mask.astype(np.uint8), back, self.model.patch, order=0)
        return np.asarray(result > 0)

    def _box(self, first: Triple, step: Triple) -> Box:
        """The box of the reader's grid that a patch covers, as far as there is a scan."""
        size = np.array(self.model.patch) * np.array(step)
        low = np.maximum(first, 0)
        high = np.minimum(np.array(first) + size, self.image.shape[1:])
        corners = np.array(np.meshgrid(*zip(low - 0.5, high - 0.5, strict=True), indexing="ij")).reshape(3, -1).T
        back = np.linalg.inv(self.to_network)
        placed = corners @ back[:3, :3].T + back[:3, 3]
        shape = np.array(self.grid.shape)
        start = np.clip(np.ceil(placed.min(axis=0) - 1e-6).astype(int), 0, shape - 1)
        stop = np.clip(np.floor(placed.max(axis=0) + 1e-6).astype(int) + 1, start + 1, shape)
        (a, b, c), (i, j, k) = start.tolist(), stop.tolist()
        return Box((a, b, c), (i, j, k))

    def _paste(self, target: Mask, box: Box, first: Triple, step: Triple, found: npt.NDArray[np.float32]) -> None:
        """Write a patch's answer where its voxels lie."""
        own = self._box(first, step)
        matrix = self._patch_matrix(first, step)
        matrix[:3, 3] += matrix[:3, :3] @ np.array(own.start)
        values = sampled(found, matrix, own.shape, order=1)
        place = tuple(slice(a - b, a - b + n) for a, b, n in zip(own.start, box.start, own.shape, strict=True))
        target[place] = values > 0.5


def corrected(before: Mask, after: Mask, interactions: Sequence[Interaction], start: Triple) -> Mask:
    """Return `before` with what an answer may change of it toward `after`.

    That is what hangs together with the newest interaction, or with one that the mask contradicts, as its answer came
    too late to be drawn; and of that what is of the interaction's kind: one that belongs to the class only adds, one
    that does not only takes away.

    - `start`: where the masks begin.
    """
    result = before
    for is_outside, toward in ((False, before | after), (True, before & after)):
        marks = []
        for one in interactions:
            inside = _within(one.voxels - np.array(start), before.shape)
            is_open = one is interactions[-1] or bool((before[tuple(inside.T)] == one.is_outside).any())
            if one.is_outside == is_outside and is_open:
                marks.append(inside)
        if marks:  # what is connected takes long to find in a large box
            result = result ^ before ^ hanging_together(before, toward, marks)
    return result


def as_marked(mask: Mask, mark: Interaction, start: Triple) -> Mask:
    """Return a mask in which most of a mark's voxels are as it says: if they were not, with the voxels that touch it.

    - `start`: where the mask begins.
    """
    voxels = _within(mark.voxels - np.array(start), mask.shape)
    if not len(voxels) or np.mean(mask[tuple(voxels.T)] == mark.is_outside) <= MOST_CONTRADICTED:
        return mask
    result = mask.copy()
    result[tuple(_within((voxels[:, None] + AROUND).reshape(-1, 3), mask.shape).T)] = not mark.is_outside
    return result


def _within(voxels: npt.NDArray[np.int64], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    inside: npt.NDArray[np.int64] = voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]
    return inside


def hanging_together(before: Mask, after: Mask, marks: Sequence[npt.NDArray[Any]]) -> Mask:
    """Return `before` with those connected changes toward `after` that touch a mark or its neighborhood.

    - `marks`: voxels (N, 3) of each interaction; those outside the masks are not looked at.
    """
    changed, count = label(before != after, np.ones((3, 3, 3)))
    kept = np.zeros(count + 1, bool)
    for voxels in marks:
        inside = _within((voxels[:, None] + AROUND).reshape(-1, 3), before.shape)
        kept[changed[tuple(inside.T)]] = True
    kept[0] = False
    return np.asarray(before ^ kept[changed])


def cut(present: Present, box: Box) -> Mask:
    """The present mask within a box; nothing where it is not known."""
    result = np.zeros(box.shape, bool)
    source, target = [], []
    for low, size, start, length in zip(present.low, present.mask.shape, box.start, box.shape, strict=True):
        a, b = max(low, start), min(low + size, start + length)
        if a >= b:
            return result
        source.append(slice(a - low, b - low))
        target.append(slice(a - start, b - start))
    result[tuple(target)] = present.mask[tuple(source)]
    return result
