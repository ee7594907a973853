"""Lesion-wise Dice by the two rules the BraTS challenges have had."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medseg.evaluation.metrics.detection import Overlaps, components, count_overlaps


def lesion_measures(
    reference: npt.NDArray[np.bool_],
    prediction: npt.NDArray[np.bool_],
    voxel_volume: float,
    *,
    dilation: int = 3,
    minimum_mm3: float = 50.0,
) -> dict[str, float]:
    """Dice of each lesion, averaged over lesions and false alarms; NaN where there is neither.

    Components of the reference (26 neighbors) that meet when dilated `dilation` times (18 neighbors) are one lesion.
    Every component of the prediction that touches the dilated lesion belongs to it; the lesion's Dice is that of the
    lesion and all of these. Lesions no larger than `minimum_mm3` are skipped, together with the predictions that
    belong to them. Each predicted component that belongs to no lesion counts as a Dice of 0. Dilations are 3 for the
    glioma, sub-Saharan and pediatric tasks, 1 for meningioma and metastases; 2 mm³ for metastases, 50 for all others.

    References
    ----------
    Saluja et al., BraTS 2023 lesion-wise performance metrics, https://github.com/rachitsaluja/BraTS-2023-Metrics
    """
    found = components(prediction)
    lesions, grown = _lesions(reference, dilation)
    touched = count_overlaps(grown, found)
    exact = count_overlaps(lesions, found)
    sizes = exact.reference_sizes
    shared = np.zeros(len(sizes), np.int64)
    np.add.at(shared, exact.pairs[:, 0], exact.shared)
    claimed = np.zeros(len(sizes), np.int64)
    np.add.at(claimed, touched.pairs[:, 0], touched.prediction_sizes[touched.pairs[:, 1]])
    counted = sizes * voxel_volume > minimum_mm3
    hit = claimed > 0
    false_alarms = len(touched.prediction_sizes) - len(np.unique(touched.pairs[:, 1]))
    dice = 2 * shared / np.maximum(sizes + claimed, 1)
    total = np.count_nonzero(counted) + false_alarms
    return {
        "lesion_dice": float(dice[counted].sum() / total) if total else float("nan"),
        "lesion_tp": float(np.count_nonzero(counted & hit)),
        "lesion_fp": float(false_alarms),
        "lesion_fn": float(np.count_nonzero(counted & ~hit)),
    }


def matched_lesion_measures(reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Mean Dice of components paired one to one, so that the sum of their Dice is largest.

    Components have 26 neighbors; nothing is dilated, joined or skipped. What has no partner lowers the counts and not
    the mean, which is 0 without a pair and NaN where there is nothing to pair.

    References
    ----------
    brats-evaluation 0.0.10 (github.com/BraTS/BraTS_evaluation), which asks panoptica for it.
    """
    overlaps = count_overlaps(components(reference), components(prediction))
    n, m = len(overlaps.reference_sizes), len(overlaps.prediction_sizes)
    dice = _best_pairs(overlaps)
    return {
        "lesion_dice": float(dice.mean()) if len(dice) else (0.0 if n + m else float("nan")),
        "lesion_tp": float(len(dice)),
        "lesion_fp": float(m - len(dice)),
        "lesion_fn": float(n - len(dice)),
    }


def _best_pairs(overlaps: Overlaps) -> npt.NDArray[np.float64]:
    """Dice of each pair of the assignment with the largest sum, group by group of objects that touch in a chain."""
    rows, columns = overlaps.pairs.T
    dice = 2 * overlaps.shared / (overlaps.reference_sizes[rows] + overlaps.prediction_sizes[columns])
    n = len(overlaps.reference_sizes)
    size = n + len(overlaps.prediction_sizes)
    group = connected_components(coo_array((dice, (rows, columns + n)), shape=(size, size)), directed=False)[1][rows]
    chosen = [np.zeros(0)]
    for number in np.unique(group):
        mine = np.flatnonzero(group == number)
        of_row, at_row = np.unique(rows[mine], return_inverse=True)
        of_column, at_column = np.unique(columns[mine], return_inverse=True)
        worth = np.zeros((len(of_row), len(of_column)))
        worth[at_row, at_column] = dice[mine]
        taken = worth[linear_sum_assignment(worth, maximize=True)]
        chosen.append(taken[taken > 0])
    return np.concatenate(chosen)


def _lesions(reference: npt.NDArray[np.bool_], dilation: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Ids of the lesions, and of the same lesions dilated; the n-th of either is the n-th of the other."""
    grown = reference
    if dilation:
        structure = ndimage.generate_binary_structure(3, 2)
        grown = ndimage.binary_dilation(reference, structure, iterations=dilation)
    ids = components(grown)
    return np.where(reference, ids, 0), ids
