"""Clicks and scribbles as a reader would place them: in the middle of the largest error."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects, label

from medseg.infer.clicks.interaction import Interaction

Mask = npt.NDArray[np.bool_]


def next_click(present: Mask, truth: Mask, ignored: Mask | None = None) -> Interaction | None:
    """Return the click at the deepest point of the largest connected error; None where nothing is wrong.

    Errors are connected by faces, those of what is missing and of what is too much apart. Of equally large errors, and
    of equally deep points, the first counts, so that the click is a function of the masks.
    """
    errors = _errors(present, truth, ignored)
    if errors is None:
        return None
    numbered, sizes = errors
    return _click_in(numbered, int(sizes.argmax()) + 1, truth)


def random_interaction(
    present: Mask,
    truth: Mask,
    random: np.random.Generator,
    *,
    ignored: Mask | None = None,
    scribbles: float = 0.0,
) -> Interaction | None:
    """Return a click or a scribble in an error drawn by its size, for a network to learn from readers who differ.

    - `scribbles`: how likely it is a scribble: a straight line within the error's slice through its deepest point.
    """
    errors = _errors(present, truth, ignored)
    if errors is None:
        return None
    numbered, sizes = errors
    chosen = int(random.choice(len(sizes), p=sizes / sizes.sum())) + 1
    as_scribble = random.random() < scribbles
    click = _click_in(numbered, chosen, truth)
    return _scribble_in(numbered == chosen, click, random) if as_scribble else click


def _errors(present: Mask, truth: Mask, ignored: Mask | None) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Number connected errors from 1; return their sizes too, or None where there are none."""
    missing, surplus = truth & ~present, present & ~truth
    if ignored is not None:
        missing, surplus = missing & ~ignored, surplus & ~ignored
    numbered, count = label(missing)
    more, further = label(surplus)
    numbered[surplus] = more[surplus] + count
    if not count + further:
        return None
    return numbered, np.bincount(numbered.ravel(), minlength=count + further + 1)[1:]


def _click_in(numbered: npt.NDArray[Any], chosen: int, truth: Mask) -> Interaction:
    place = find_objects(numbered, max_label=chosen)[chosen - 1]
    # The edge of a patch is an edge of what is seen of an error; an axis of one voxel has no depth.
    widths = [(1, 1) if size > 1 else (0, 0) for size in numbered.shape]
    depth = distance_transform_edt(np.pad(numbered[place] == chosen, widths))
    deepest = np.array(np.unravel_index(int(depth.argmax()), depth.shape)) - [width[0] for width in widths]
    voxel = deepest + [part.start for part in place]
    return Interaction(voxel[None].astype(np.int64), is_outside=not truth[tuple(voxel)])


def _scribble_in(error: Mask, click: Interaction, random: np.random.Generator) -> Interaction:
    """A line between two voxels of the error in a slice through its click, as far as it lies in the error."""
    center = click.center
    across = [axis for axis, size in enumerate(error.shape) if size > 1] or [0]
    axis = across[int(random.integers(len(across)))] if len(across) == 3 else int(np.argmin(error.shape))
    inside = np.argwhere(np.take(error, center[axis], axis=axis))
    a, b = inside[random.integers(len(inside), size=2)]
    steps = int(np.abs(b - a).max()) + 1
    line = np.unique(np.rint(np.linspace(a, b, steps)).astype(np.int64), axis=0)
    voxels = np.insert(line, axis, center[axis], axis=1)
    voxels = voxels[error[tuple(voxels.T)]]
    return Interaction(voxels, click.is_outside)
