"""The mean of the probabilities that several networks give a scan, on the scan's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.models.composite_card import PartCard
from medseg.types import LabelTable
from medseg.types.labels import smallest_label_dtype


class MeanProbability:
    """Sums the probabilities of parts, class by class of a composite; every part gives every class."""

    def __init__(self, table: LabelTable, shape: tuple[int, int, int]) -> None:
        self._values = np.array([0, *(entry.value for entry in table)], smallest_label_dtype(table.largest))
        self._sum = np.zeros((len(self._values), *shape), np.float32)

    def add(self, probabilities: npt.NDArray[Any], own: Sequence[int], entry: PartCard) -> None:
        """Add a part's probabilities (classes, X, Y, Z), of its own values in this order, 0 the background's."""
        place = {int(value): number for number, value in enumerate(self._values)}
        for value, found in zip(own, probabilities, strict=True):
            self._sum[place[entry.values[value] if value else 0]] += found

    def labels(self) -> npt.NDArray[Any]:
        """Value of the class with the largest sum, of equal ones the first, background before all."""
        labels: npt.NDArray[Any] = self._values[self._sum.argmax(axis=0)]
        return labels
