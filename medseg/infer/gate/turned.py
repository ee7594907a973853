"""A scan that its header turns: a network that knows front from back is more certain of the copy turned right."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from medseg.infer.gate.refusal import Refusal, refusal
from medseg.infer.gate.result import FAR_ABOVE, mean_boundary_entropy
from medseg.infer.predictor import Predictor
from medseg.types import Prediction, Scan
from medseg.types.axis_order import toward

# Entropy of the most certain turned copy by that of the scan as it is. Of suitable scans 1.14 or more, of scans turned
# 0.88 or less (docs/benchmarks/gate.md).
CLEAR, LIKELY = 0.9, 1.05
NAMES = {frozenset("LR"): "left and right", frozenset("PA"): "front and back", frozenset("IS"): "up and down"}
COARSE = {"overlap": 0.0, "mirror": "none", "probabilities": False, "entropy": False}


def look_at_turned(predictor: Predictor, scan: Scan, prediction: Prediction) -> tuple[Refusal | None, tuple[str, ...]]:
    """Refuse a scan of which the network is clearly more certain when it is turned, or warn where it may be so.

    Only a result more uncertain than those of suitable scans is looked into, so that these cost nothing.
    """
    card = predictor.package.card
    if card.result is None or not card.result.turned_axes:
        return None, ()
    limit, own = card.result.boundary_entropy, mean_boundary_entropy(prediction)
    if limit is None or own is None or own <= limit:
        return None, ()
    coarse = Predictor(predictor.package, predictor.options.model_copy(update=COARSE), engine=predictor.engine)
    order = toward(scan.geometry, card.input.orientation).then(card.input.axis_order)
    as_is = mean_boundary_entropy(coarse.segment(scan))
    found: list[tuple[float, str]] = []
    for axes in (c for n in range(1, 4) for c in combinations(card.result.turned_axes, n)):
        places = tuple(1 + order.permutation[axis] for axis in axes)
        copy = coarse.segment(scan.with_array(np.flip(scan.array, places), scan.geometry))
        entropy = mean_boundary_entropy(copy)
        if entropy is not None:
            found.append((entropy, " and ".join(_name(scan, order.permutation[axis]) for axis in axes)))
    if as_is is None or not found:
        return None, ()
    best, swapped = min(found)
    if best <= min(CLEAR * as_is, FAR_ABOVE * limit):
        reason = (
            f"the scan's header seems to turn it: with {swapped} exchanged the network is far more certain (mean "
            f"boundary entropy {best:.2f} instead of {as_is:.2f})"
        )
        return refusal(reason, card, "Compare it with other scans in a viewer and correct its header"), ()
    if best <= LIKELY * as_is:
        how = "more" if best <= CLEAR * as_is else "about as"
        return None, (
            f"The scan's header may turn it: with {swapped} exchanged the network is {how} certain (mean boundary "
            f"entropy {best:.2f}; {as_is:.2f} as it is).",
        )
    return None, ()


def _name(scan: Scan, axis: int) -> str:
    """Directions along an axis of the scan, in words."""
    letter = scan.geometry.orientation[axis]
    return next(name for letters, name in NAMES.items() if letter in letters)
