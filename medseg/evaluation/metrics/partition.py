"""V_rand and V_info: whether two partitions of an image into objects put the same voxels together.

The figures of the ISBI 2012 challenge (Arganda-Carreras et al., Frontiers in Neuroanatomy 2015,
doi:10.3389/fnana.2015.00142): restricted to the foreground of the reference, and for membranes with those of the
prediction thinned first, so that their width does not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.segmentation import watershed

from medseg.evaluation.metrics.detection import Overlaps, components, count_overlaps


def partition_measures(overlaps: Overlaps) -> dict[str, float]:
    """Return v_rand and v_info of two maps of objects, over the voxels that the reference gives to one.

    Each of these voxels that the prediction gives to none is an object of its own. Both are NaN where the reference
    has no object.
    """
    together = overlaps.shared.astype(np.float64)
    of_reference = overlaps.reference_sizes.astype(np.float64)
    total = float(of_reference.sum())
    if not total:
        return {"v_rand": float("nan"), "v_info": float("nan")}
    of_prediction = np.bincount(overlaps.pairs[:, 1], weights=together).astype(np.float64)
    alone = total - float(together.sum())
    pairs = float((of_reference**2).sum() + (of_prediction**2).sum()) + alone
    rand = 2 * (float((together**2).sum()) + alone) / pairs
    entropies = [
        _entropy(of_reference, total),
        _entropy(of_prediction, total, alone),
        _entropy(together, total, alone),
    ]
    both = entropies[0] + entropies[1]
    # Without any entropy both are a single object, the same.
    info = max(0.0, 2 * (both - entropies[2]) / both) if both > 0 else 1.0
    return {"v_rand": rand, "v_info": info}


def membrane_measures(reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return v_rand and v_info of the cells that two masks of membranes leave between them; NaN where both are empty.

    Cells are connected by faces. The membranes of the prediction are thinned to a line of one voxel.
    """
    if not (reference.any() or prediction.any()):
        return {"v_rand": float("nan"), "v_info": float("nan")}
    return partition_measures(count_overlaps(components(~reference, "faces"), _thinned_cells(prediction)))


def _thinned_cells(membranes: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Number the cells between membranes, each grown until a line of one voxel is left to the next."""
    cells = components(~membranes, "faces")
    if not cells.any():
        return cells
    grown: npt.NDArray[Any] = watershed(np.zeros(cells.shape, np.uint8), cells.astype(np.int32), watershed_line=True)
    return grown


def _entropy(sizes: npt.NDArray[np.float64], total: float, alone: float = 0.0) -> float:
    """Entropy in nats of parts of these sizes, and as many of one voxel as are alone."""
    fractions = sizes[sizes > 0] / total
    return float(-(fractions * np.log(fractions)).sum()) + alone / total * float(np.log(total))
