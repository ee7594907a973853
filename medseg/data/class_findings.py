"""Findings about classes: what values mean, and which classes training will not see."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from medseg.counted import counted
from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.findings import Finding
from medseg.data.unusual import FEWEST
from medseg.types import LabelTable

# A class in so many of the labels is missed in the others.
USUAL = 0.9
# White of an 8-bit mask.
WHITE = 255


def ambiguous_values(data: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    """Unnamed values 1 and 255 together: masks of two programs, a class and voxels to ignore, or two classes."""
    names = {c.value: c.name for c in data.table}
    unnamed = {value for value in names if names[value] == LabelTable.unnamed([value]).classes[0].name}
    # With values near it, 255 is one of many classes.
    if not {1, WHITE} <= unnamed or max(unnamed - {WHITE}) > WHITE // 2:
        return
    read = [e for e in examined if e.trouble is None and e.voxels is not None]
    holding = {v: [e.case.case_id for e in read if (e.voxels or {}).get(names[v])] for v in (1, WHITE)}
    if holding[1] and holding[WHITE]:
        every = tuple(e.case.case_id for e in examined)
        message = (
            f"Labels hold 1 (in {counted(len(holding[1]), 'case')}) and {WHITE} (in {len(holding[WHITE])}): "
            f"{WHITE} may be the same class in masks of another program, voxels to ignore, or a class of its own."
        )
        yield Finding("ambiguous-values", message, every[0], every[1:])


def inverted_labels(examined: Sequence[Examined]) -> Iterator[Finding]:
    """Labels in which a class frames the image and 0 lies inside, as in a mask that is white where nothing is."""
    for name in dict.fromkeys(e.frame for e in examined if e.frame is not None):
        framed = [e.case.case_id for e in examined if e.frame == name]
        counts = f"{len(framed)} of {counted(len(examined), 'case')}"
        message = f"'{name}' lies along the edge of the image and 0 inside, in {counts}: it may be the background."
        yield Finding("inverted-label", message, framed[0], tuple(framed[1:]))


def missing_classes(data: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    """Classes that no label holds, and labels without a class that most others hold."""
    read = [e for e in examined if e.trouble is None and e.voxels is not None and any(e.voxels.values())]
    if not read:
        return
    for entry in data.table:
        known = [e for e in read if e.case.annotates(entry.name)]
        without = [e.case.case_id for e in known if e.voxels is not None and not e.voxels[entry.name]]
        if len(without) == len(known):
            yield Finding("missing-class", f"No label holds '{entry.name}'.")
        elif len(known) >= FEWEST and len(without) <= math.ceil((1 - USUAL) * len(known) - 1e-9):
            for name in without:
                yield Finding("rare-class", f"'{entry.name}' is not in this label, but in most others.", name)


def untrained_classes(
    data: Dataset, present: Mapping[str, Sequence[str]], side: Mapping[str, str], kept: Mapping[str, str]
) -> Iterator[Finding]:
    """Classes that only cases have which are held out or blocked, and cases that were kept in training for one.

    - `present`: classes of each case that can be trained on.
    - `kept`: cases kept in training, each with the class it is needed for.
    """
    for name, needed in kept.items():
        message = f"It was to be held out, and is trained on because no other training case has '{needed}'."
        yield Finding("kept-in-training", message, name)
    if not side:
        return
    trained = {name for case, classes in present.items() if side.get(case) == "train" for name in classes}
    for entry in data.table:
        holding = [case for case, classes in present.items() if entry.name in classes]
        if holding and entry.name not in trained:
            message = f"No training case has '{entry.name}', only held-out ones: {', '.join(holding)}."
            yield Finding("untrained-class", message)
