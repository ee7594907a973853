"""Keeps rare classes in training: a class that only held-out cases have could never be learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medseg.data.dataset import Dataset


def kept_in_training(data: Dataset, side: Mapping[str, str], present: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Cases that must move from the held-out ones into training, each with the class that it is needed for.

    For each class that no training case has, the cases of one patient that has it; where several have, of the one with
    the fewest cases. A dataset's own split stays as it is.

    - `side`: part of the split of each case.
    - `present`: classes of each case that can be trained on.
    """
    if any(case.split == "validation" or case.folds for case in data.cases):
        return {}
    group = {case.case_id: case.group if case.group is not None else ("alone", case.case_id) for case in data.cases}
    held_out = [name for name, part in side.items() if part == "validation" and name in present]
    moved: dict[str, str] = {}
    for entry in data.table:
        holding = [name for name, classes in present.items() if entry.name in classes]
        if any(side.get(name) == "train" or name in moved for name in holding):
            continue
        patients = [[n for n in held_out if group[n] == group[one]] for one in sorted(holding) if one in held_out]
        if patients:
            fewest: list[str] = min(patients, key=lambda names: len(names))
            moved |= dict.fromkeys(fewest, entry.name)
    return moved
