"""clDice: whether the centerlines of two tubes lie in each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.post.skeleton import skeleton


def cldice(reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]) -> float:
    """Harmonic mean of the fractions of each mask's skeleton that lie in the other mask (Shit et al., CVPR 2021).

    NaN where both are empty, 0 where one is. Skeletons are those of `medseg.post.skeleton`, in which no component is
    lost.
    """
    if not reference.any() or not prediction.any():
        return float("nan") if not reference.any() and not prediction.any() else 0.0
    of_reference, of_prediction = skeleton(reference), skeleton(prediction)
    precision = np.count_nonzero(of_prediction & reference) / np.count_nonzero(of_prediction)
    recall = np.count_nonzero(of_reference & prediction) / np.count_nonzero(of_reference)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
