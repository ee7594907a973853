"""Where a case's results go: arrays on the scan's own grid, filled in through views in the network's axis order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.infer.options import InferOptions
from medseg.io.files.scratch import Scratch
from medseg.prepare.route import Route
from medseg.types.labels import smallest_label_dtype

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Outputs:
    """Labels, and probabilities and entropy where requested.

    - `labels`, shape (X, Y, Z): background everywhere to begin with; of overlapping classes, a bit for each.
    - `probabilities`, shape (K, X, Y, Z): outside the part the network is shown: 1 for the background, 0 for the rest.
    - `entropies`, shape (X, Y, Z): 0 outside that part.
    """

    labels: Array
    probabilities: Array | None
    entropies: Array | None
    route: Route

    @classmethod
    def make(cls, route: Route, decision: Decision, options: InferOptions, scratch: Scratch) -> Outputs:
        """Arrays for a case, the large ones from `scratch`."""
        ordered = route.order.geometry(route.source).shape
        # X of the network fastest, as slabs, finished along Z, fill it.
        labels = np.zeros(ordered[::-1], dtype=smallest_label_dtype(max(decision.written))).transpose(2, 1, 0)
        backwards = route.source.shape[::-1]
        probabilities = scratch.zeros((decision.channels, *backwards)) if options.probabilities else None
        if probabilities is not None and not decision.regions and route.box.shape != ordered:
            for plane in probabilities[0]:
                plane[...] = 1
        entropies = scratch.zeros(backwards) if options.entropy else None
        return cls(
            route.order.undo(labels),
            None if probabilities is None else probabilities.transpose(0, 3, 2, 1),
            None if entropies is None else entropies.transpose(2, 1, 0),
            route,
        )

    @property
    def only_labels(self) -> bool:
        """Whether neither probabilities nor entropies are requested."""
        return self.probabilities is None and self.entropies is None

    def boxed(self, array: Array) -> Array:
        """View of one of the arrays in the network's axis order, of the part the network is shown."""
        lead: tuple[slice, ...] = (slice(None),) * (array.ndim - 3)
        return self.route.order.apply(array)[(*lead, *self.route.box.slices)]
