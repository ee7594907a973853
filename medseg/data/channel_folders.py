"""Folders that each hold one channel of every case: `T1/p1.nii.gz` and `T2/p1.nii.gz` beside `labels/p1.nii.gz`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from medseg.data.file_names import MOST_ROLES, Named

# The part of the cases that all folders must have.
USUAL = 0.5


def with_channel_folders(named: Sequence[Named]) -> list[Named]:
    """Names whose folders of channels are part of the file's name, as if it were `p1_T1.nii.gz`; others stay.

    Folders side by side are of channels where they hold files of the same names, and a label of that name lies in none
    of them but elsewhere: folders of sites and patients hold labels of their own.
    """
    labels = [one for one in named if one.role == "label"]
    images = [one for one in named if one.role != "label" and one.key and one.context]
    # By the folders above: in each of the folders side by side, the names of its files.
    beside: dict[tuple[str, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for image in images:
        beside[image.context[:-1]][image.context[-1]].add(image.key)
    of_labels = {(label.context, label.key) for label in labels}
    inside = {label.context[:depth] for label in labels for depth in range(1, len(label.context) + 1)}
    found = {
        above
        for above, folders in beside.items()
        if 1 < len(folders) <= MOST_ROLES
        and not any((*above, folder) in inside for folder in folders)
        and _are_channels(list(folders.values()), {key for context, key in of_labels if context == above})
    }
    return [_joined(one) if one.role != "label" and one.context[:-1] in found and one.context else one for one in named]


def _are_channels(folders: Sequence[set[str]], labeled: set[str]) -> bool:
    """Whether most of the labeled cases are in all folders: subsets of cases share none."""
    return bool(labeled) and len(labeled.intersection(*folders)) >= max(1, USUAL * len(labeled))


def _joined(named: Named) -> Named:
    folder = named.context[-1]
    key = re.sub(r"[_\-. ]+", "_", folder.lower())
    return replace(
        named, context=named.context[:-1], key=f"{named.key}_{key}", shown=f"{named.shown}_{folder}", role="image"
    )
