"""The mean of the probabilities that several networks give a scan, on the scan's own grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import ResourceLimit
from medseg.infer.agreement import EnsembleAgreement
from medseg.infer.decision import Decision
from medseg.infer.memory import available_bytes
from medseg.infer.probability_stream import entropy
from medseg.infer.uncertainty import BoundaryEntropy
from medseg.models.composite_card import PartCard
from medseg.types import LabelTable
from medseg.types.labels import smallest_label_dtype
from medseg.types.prediction import ClassUncertainty

Array = npt.NDArray[Any]


class MeanProbability:
    """Averages the probabilities of parts, class by class of a composite; every part gives every class.

    Everything is known when so many parts as there are were added.
    """

    def __init__(self, table: LabelTable, shape: tuple[int, int, int], n_parts: int) -> None:
        values = (0, *(entry.value for entry in table))
        self._decision = Decision(values, output="probabilities", interpolated="probabilities")
        self._n_parts = n_parts
        size = 4 * len(values) * math.prod(shape)
        if size > (free := available_bytes()):
            raise ResourceLimit(
                f"the mean of probabilities needs {size / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free",
                fix="Close other programs, use a machine with more memory, or run one of the parts.",
            )
        self.probabilities = np.empty((len(values), *shape), np.float32)
        """The mean (classes, X, Y, Z), background first, then as the composite's table has them."""
        self.probabilities.fill(0)  # now in memory, so that each part sees what is left
        self._members: list[Array] = []  # class of each voxel by each part, as its place among the values

    def add(self, probabilities: Array, own: Sequence[int], entry: PartCard) -> None:
        """Add a part's probabilities (classes, X, Y, Z), of its own values in this order, 0 the background's."""
        place = {value: number for number, value in enumerate(self._decision.values)}
        order = [place[entry.values[value] if value else 0] for value in own]
        for number, found in zip(order, probabilities, strict=True):
            self.probabilities[number] += found / np.float32(self._n_parts)
        self._members.append(np.array(order, self._decision.dtype)[_largest(probabilities, self._decision.dtype)])

    @cached_property
    def _winner(self) -> Array:
        return _largest(self.probabilities, self._decision.dtype)

    def labels(self) -> Array:
        """Value of the class with the largest mean, of equal ones the first, background before all."""
        values = self._decision.values
        labels: Array = np.array(values, smallest_label_dtype(max(values)))[self._winner]
        return labels

    def entropies(self) -> npt.NDArray[np.float32]:
        """How uncertain each voxel is, 0 to 1."""
        result = np.empty(self.probabilities.shape[1:], np.float32)
        for k in range(result.shape[2]):
            result[:, :, k] = entropy(self.probabilities[..., k], self._decision)
        return result

    def uncertainty(self) -> dict[int, ClassUncertainty]:
        """Entropy of the mean along the boundary of each class that has one, and how far the parts agree with it."""
        boundary = BoundaryEntropy(self._decision)
        boundary.add(self.probabilities, self._winner, 0, 0)
        agreement = EnsembleAgreement(self._decision.values, self._n_parts, None)
        for k in range(self._winner.shape[2]):
            agreement.add(np.stack([one[..., k] for one in (*self._members, self._winner)]))
        entropies, dice = boundary.by_value(), agreement.by_value()
        return {
            value: ClassUncertainty(entropies.get(value), dice.get(value))
            for value in self._decision.values[1:]
            if value in entropies or value in dice
        }


def _largest(probabilities: Array, dtype: type[np.unsignedinteger[Any]]) -> Array:
    """Place of the largest of the first axis at each voxel, the first of equal ones; plane by plane, to save memory."""
    result = np.empty(probabilities.shape[1:], dtype)
    for k in range(result.shape[2]):
        result[..., k] = probabilities[..., k].argmax(axis=0)
    return result
