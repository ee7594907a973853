"""Volumes of a reference's classes as results would show them: of regions folded into one map, what stays of each."""

from __future__ import annotations

from collections.abc import Mapping

from medseg.data.dataset import Dataset


def result_volumes(data: Dataset, volumes_ml: Mapping[str, float]) -> dict[str, float]:
    """Return the volume in ml of each class in a label map of results, by name.

    Where regions are folded, later ones lie on top, so that a whole tumor is seen only around its core. A region is
    without a volume where a later one that lies in it was not annotated.

    - `volumes_ml`: of each class as the reference has it, whole; without those that it does not annotate.
    """
    if not data.regions or data.overlapping:
        return dict(volumes_ml)
    shown: dict[int, float | None] = {}  # from the top down
    for value in reversed(tuple(data.regions)):
        whole = volumes_ml.get(data.table.name_of(value))
        # A region's own value is a part of every region it lies in; the dataset refuses any others.
        above = [volume for later, volume in shown.items() if later in data.regions[value]]
        known = [volume for volume in above if volume is not None]
        shown[value] = None if whole is None or len(known) < len(above) else max(0.0, whole - sum(known))
    names = {data.table.name_of(value): volume for value, volume in shown.items()}
    return {name: volume for name, volume in names.items() if volume is not None}
