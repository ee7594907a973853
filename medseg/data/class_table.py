"""Classes by value and name, as datasets state them."""

from __future__ import annotations

from collections.abc import Mapping

from medseg.types import LabelClass, LabelTable
from medseg.types.labels import PALETTE


def class_table(names: Mapping[int, str]) -> LabelTable:
    """Label table of classes by value, in the usual colors; values below 1 are background and skipped."""
    return LabelTable(
        tuple(LabelClass(v, name, color=PALETTE[(v - 1) % len(PALETTE)]) for v, name in sorted(names.items()) if v > 0)
    )
