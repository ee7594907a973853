"""Findings about classes that not every case annotates: those that are known, and those that may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.findings import Finding
from medseg.data.partial_labels import annotation_text, partly_annotated

# One label with another class may be chance.
FEWEST_LABELS = 2


def partial_label_findings(data: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    """Say which classes are annotated in part; where no label holds two classes, ask whether these are.

    Classes are joined where one label holds both. What falls apart are either kinds of which a case has only one, such
    as benign and malignant, or labels of several datasets that each annotate their own; only a person knows.
    """
    if partly := partly_annotated(data):
        message = f"{annotation_text(partly, len(data.labeled))}; where it is not, the loss and measures mask it."
        yield Finding("partial-labels", message[0].upper() + message[1:])
    sets = [
        {name for name, count in one.voxels.items() if count}
        for one in examined
        if one.voxels is not None and one.case.annotated is None
    ]
    groups = _joined([names for names in sets if names])
    groups = [group for group in groups if sum(not names.isdisjoint(group) for names in sets) >= FEWEST_LABELS]
    if len(groups) > 1:
        shown = " and ".join(f"'{min(group)}'" for group in groups[:3])
        yield Finding("separate-classes", f"No label holds both {shown}, although each is in several.")


def _joined(sets: Sequence[set[str]]) -> list[set[str]]:
    """Unions of sets that share a member, in order of their first members."""
    groups: list[set[str]] = []
    for names in sets:
        touching = [group for group in groups if not group.isdisjoint(names)]
        groups = [group for group in groups if group.isdisjoint(names)] + [names.union(*touching)]
    return sorted(groups, key=min)
