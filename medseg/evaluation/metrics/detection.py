"""Measures of objects: which of the reference were found, which of the prediction are real, and how well they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Neighbors = Literal["corners", "faces"]
Ids = npt.NDArray[np.int64]

PANOPTIC_THRESHOLD = 0.5
# A quotient of two counts that should equal a threshold may fall short of it by this much.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How much each object of a reference shares with each of a prediction."""

    reference_sizes: npt.NDArray[np.int64]  # voxels of each object
    prediction_sizes: npt.NDArray[np.int64]
    pairs: Ids  # shape (n, 2): positions in those two lists, for each pair that shares a voxel
    shared: npt.NDArray[np.int64]  # voxels they share

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union of each pair."""
        union = self.reference_sizes[self.pairs[:, 0]] + self.prediction_sizes[self.pairs[:, 1]] - self.shared
        values: npt.NDArray[np.float64] = self.shared / union
        return values


def components(mask: npt.NDArray[np.bool_], neighbors: Neighbors = "corners") -> npt.NDArray[Any]:
    """Number the connected components of a mask from 1.

    ``"corners"``: voxels that share a corner are connected (26 neighbors, 8 in a 2D image); ``"faces"``: only those
    that share a face (6, 4).
    """
    # A plane of background at the end of each axis: cc3d 4.1 reserves too few labels for the densest patterns of some
    # odd sizes, and rejects them.
    padded = np.pad(mask, [(0, 1)] * 3)
    ids = cc3d.connected_components(padded, connectivity=26 if neighbors == "corners" else 6)
    numbered: npt.NDArray[Any] = ids[:-1, :-1, :-1]
    return numbered


def count_overlaps(reference: npt.NDArray[Any], prediction: npt.NDArray[Any]) -> Overlaps:
    """Count the voxels that objects of two id maps share, in one pass; ids need not be consecutive."""
    a, b = reference.ravel(order="K"), prediction.ravel(order="K")
    if reference.strides != prediction.strides:
        a, b = reference.ravel(), prediction.ravel()
    reference_ids, reference_sizes = _sizes(a)
    prediction_ids, prediction_sizes = _sizes(b)
    both = np.flatnonzero((a != 0) & (b != 0))
    rows = np.searchsorted(reference_ids, a[both].astype(np.int64))
    columns = np.searchsorted(prediction_ids, b[both].astype(np.int64))
    n = max(1, len(prediction_ids))
    codes, shared = np.unique(rows * n + columns, return_counts=True)
    return Overlaps(
        reference_sizes, prediction_sizes, np.stack([codes // n, codes % n], axis=-1), shared.astype(np.int64)
    )


def match(overlaps: Overlaps, threshold: float) -> Ids:
    """Positions in `overlaps.pairs` of objects paired one to one.

    As many pairs as can be of at least this IoU, and of those the best in sum. Above an IoU of 0.5 no object has two
    candidates and there is nothing to choose; below, this is the assignment problem, solved exactly.
    """
    iou = overlaps.iou
    candidates = np.flatnonzero(iou >= threshold - ROUNDING)
    if not len(candidates):
        return candidates
    rows, columns = overlaps.pairs[candidates].T
    n = len(overlaps.reference_sizes)
    size = n + len(overlaps.prediction_sizes)
    graph = coo_array((np.ones(len(candidates)), (rows, columns + n)), shape=(size, size))
    group = connected_components(graph, directed=False)[1][rows]
    _, first, sizes = np.unique(group, return_index=True, return_counts=True)
    chosen = [candidates[first[sizes == 1]]]
    crowded = np.unique(group[first[sizes > 1]])
    for number in crowded:
        chosen.append(_assign(candidates[group == number], overlaps.pairs, iou))
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def detection_measures(overlaps: Overlaps, thresholds: Sequence[float] = (0.5,)) -> dict[str, float]:
    """Panoptic quality, F1 and average precision of one class in one case.

    pq, sq, rq (Kirillov et al., Panoptic Segmentation, CVPR 2019) at an IoU of 0.5; f1@T and ap@T for each threshold;
    ap@0.5:0.95, the mean of AP at 0.5, 0.55, ... 0.95; objects_reference, objects_prediction and objects_matched (at
    0.5). All but the counts are NaN where neither side has an object; sq where nothing matches.
    """
    n, m = len(overlaps.reference_sizes), len(overlaps.prediction_sizes)
    matched = match(overlaps, PANOPTIC_THRESHOLD)
    found = len(matched)
    quality = float(overlaps.iou[matched].sum())
    measures = {
        "pq": _quotient(2 * quality, n + m),
        "sq": _quotient(quality, found),
        "rq": _quotient(2 * found, n + m),
    }
    hits = {threshold: len(match(overlaps, threshold)) for threshold in thresholds}
    measures |= {f"f1@{threshold:g}": _quotient(2 * hit, n + m) for threshold, hit in hits.items()}
    measures |= {f"ap@{threshold:g}": average_precision(hit, n, m) for threshold, hit in hits.items()}
    steps = [average_precision(len(match(overlaps, t)), n, m) for t in np.arange(0.5, 0.96, 0.05).round(2)]
    measures["ap@0.5:0.95"] = float(np.mean(steps))
    return measures | {"objects_reference": float(n), "objects_prediction": float(m), "objects_matched": float(found)}


def average_precision(matched: int, reference: int, prediction: int) -> float:
    """TP / (TP + FP + FN): AP of predictions without confidence, as in the 2018 Data Science Bowl and StarDist."""
    return _quotient(matched, reference + prediction - matched)


def _sizes(ids: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    occupied = ids[ids != 0]
    if not len(occupied):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if int(occupied.max()) < 1 << 24:
        counts = np.bincount(occupied)
        present = np.flatnonzero(counts)
        return present.astype(np.int64), counts[present].astype(np.int64)
    present, counts = np.unique(occupied, return_counts=True)
    return present.astype(np.int64), counts.astype(np.int64)


def _assign(candidates: Ids, pairs: Ids, iou: npt.NDArray[np.float64]) -> Ids:
    """Best one-to-one choice among candidates whose objects compete."""
    rows, row_of = np.unique(pairs[candidates, 0], return_inverse=True)
    columns, column_of = np.unique(pairs[candidates, 1], return_inverse=True)
    # A match is worth more than any sum of IoUs can be, so that their number comes first.
    worth = np.zeros((len(rows), len(columns)))
    worth[row_of, column_of] = min(worth.shape) + iou[candidates]
    taken = linear_sum_assignment(worth, maximize=True)
    at = np.full(worth.shape, -1, np.int64)
    at[row_of, column_of] = candidates
    chosen = at[taken]
    return chosen[chosen >= 0]


def _quotient(above: float, below: float) -> float:
    return float(above / below) if below else float("nan")
