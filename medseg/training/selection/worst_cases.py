"""Keeps figures of the held-out cases of the lowest Dice, while they are measured."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.draw.overlay import LabelPair, draw_planes
from medseg.types import LabelMap, Scan


class WorstCases:
    """Outlines of reference and prediction in the cases of the lowest Dice, so many at most."""

    def __init__(self, most: int = 4) -> None:
        self.most = most
        self._kept: list[tuple[float, str, bytes]] = []

    def add(self, case_id: str, dice: dict[str, float], scan: Scan, reference: LabelMap, prediction: LabelMap) -> None:
        """Add a case; it is drawn only if it is among the worst so far."""
        known = [value for value in dice.values() if not math.isnan(value)]
        if not known:
            return
        mean = sum(known) / len(known)
        if len(self._kept) == self.most and mean >= self._kept[-1][0]:
            return
        turned = LabelPair.from_labels(reference, prediction, scan)
        stream = io.BytesIO()
        draw_planes(turned, _most_wrong(turned), size=300).save(stream, "PNG", compress_level=4)
        self._kept = sorted([*self._kept, (mean, case_id, stream.getvalue())])[: self.most]

    def renamed(self, names: Mapping[str, str]) -> WorstCases:
        """Return the same figures with other names of their cases."""
        other = WorstCases(self.most)
        other._kept = [(mean, names[case_id], figure) for mean, case_id, figure in self._kept]
        return other

    @property
    def figures(self) -> list[tuple[str, float, bytes]]:
        """Case id, mean Dice and PNG, the worst first."""
        return [(case_id, mean, png) for mean, case_id, png in self._kept]


def _most_wrong(case: LabelPair) -> tuple[int, int, int]:
    """Voxel where the planes with the most wrong voxels cross; those with the most labels where nothing is wrong."""
    wrong: npt.NDArray[Any] = case.reference != case.prediction
    if not wrong.any():
        wrong = (case.reference != 0) | (case.prediction != 0)
    x, y, z = (int(np.argmax(wrong.sum(axis=tuple(a for a in range(3) if a != axis)))) for axis in range(3))
    return x, y, z
