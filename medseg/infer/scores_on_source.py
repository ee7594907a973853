"""Scores of every class on the scan's own grid, for those who ask: dense, and as large as that sounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.prepare.pipeline import Route
from medseg.prepare.resample import resample

__all__ = ["scores_on_source"]


def scores_on_source(scores: npt.NDArray[np.float32], route: Route, decision: Decision) -> npt.NDArray[np.float32]:
    """Interpolate scores linearly onto the scan's grid and turn them into shares of 1.

    Parameters
    ----------
    scores : ndarray of float32, shape (K, X, Y, Z)
        On the network's grid, before softmax.
    route : Route
        The way back.
    decision : Decision
        Whether classes exclude each other (softmax) or are regions (sigmoid).

    Returns
    -------
    ndarray of float32, shape (K, X, Y, Z) of the scan
        Outside the part the network was shown: 1 for the background, 0 for the rest.
    """
    shape = route.order.geometry(route.source).shape
    ordered = np.zeros((len(scores), *shape[::-1]), dtype=np.float32).transpose(0, 3, 2, 1)
    if not decision.regions:
        ordered[0] = 1
    inside = ordered[(slice(None), *route.box.slices)]
    for target, source in zip(inside, scores[(slice(None), *route.inner)], strict=True):
        back = [None if step is None else 1 / step for step in route.steps]
        target[...] = resample(np.ascontiguousarray(source), route.box.shape, 1, route.separate_back, back)
    inside[...] = decision.shares(inside)
    return route.order.undo(ordered)
