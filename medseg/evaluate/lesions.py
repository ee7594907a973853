"""Lesion-wise Dice by the rule of the BraTS challenges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.evaluate.detection import components, count_overlaps

__all__ = ["lesion_measures"]


def lesion_measures(
    reference: npt.NDArray[np.bool_],
    prediction: npt.NDArray[np.bool_],
    voxel_volume: float,
    *,
    dilation: int = 3,
    minimum_mm3: float = 50.0,
) -> dict[str, float]:
    """Dice of each lesion, averaged over lesions and false alarms.

    Components of the reference (26 neighbours) that meet when dilated `dilation` times (18 neighbours) are one lesion.
    Every component of the prediction that touches the dilated lesion belongs to it; the lesion's Dice is that of the
    lesion and all of these. Lesions no larger than `minimum_mm3` are left out, together with the predictions that
    belong to them. Each predicted component that belongs to no lesion counts as a Dice of 0.

    Parameters
    ----------
    reference, prediction : ndarray of bool, shape (X, Y, Z)
        Masks of one class; a crop that holds all of both will do.
    voxel_volume : float
        mm³.
    dilation : int
        3 for the glioma, sub-Saharan and paediatric tasks, 1 for meningioma and metastases.
    minimum_mm3 : float
        50 for all tasks but metastases, which take 2.

    Returns
    -------
    dict of str to float
        lesion_dice, NaN where there is neither a lesion nor a false alarm; lesion_tp, lesion_fp, lesion_fn.

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


def _lesions(reference: npt.NDArray[np.bool_], dilation: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Ids of the lesions, and of the same lesions dilated; the n-th of either is the n-th of the other."""
    grown = reference
    if dilation:
        structure = ndimage.generate_binary_structure(3, 2)
        grown = ndimage.binary_dilation(reference, structure, iterations=dilation)
    ids = components(grown)
    return np.where(reference, ids, 0), ids
