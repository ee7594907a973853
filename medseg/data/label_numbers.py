"""Numbers glued to words for labels, and in names of folders of labels: whose they are is told by the images beside.

`seg001` beside `orig001` is the label of image 1, where `seg1` and `seg2` beside one image are two raters'. Folders
`GT_01` and `GT_02` beside `Slide_01` and `Slide_02` hold labels of one kind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from medseg.data.file_names import Named, numbers_of

GLUED = re.compile(r"(?P<word>.*[^\W\d_])(?P<digits>\d+)")


def with_numbers(named: Sequence[Named]) -> list[Named]:
    """Names whose labels have the number in their key, and the folder as their context, where images have them."""
    images = [one for one in named if one.role != "label"]
    contexts: dict[tuple[int, ...], set[tuple[str, ...]]] = defaultdict(set)
    for one in images:
        if one.context:
            contexts[numbers_of(one.context[-1])].add(one.context)
    keys = {one.key for one in images}
    counted = {(one.context, numbers_of(one.key)): one.key for one in images}
    return [_of_key(_of_folder(one, contexts), keys, counted) if one.role == "label" else one for one in named]


def _of_key(label: Named, keys: set[str], counted: dict[tuple[tuple[str, ...], tuple[int, ...]], str]) -> Named:
    """The label with its image's key, where glued digits name it: alone (`man_seg003` of `t003`), or behind its own."""
    *folders, last = label.kind.split("/")
    glued = GLUED.fullmatch(last)
    if glued is None or label.key in keys:
        return label
    key = f"{label.key}_{glued['digits']}".strip("_")
    if key not in keys and len(glued["digits"]) > 2:  # `seg1` beside `t1` is not that of T1
        key = counted.get((label.context, (int(glued["digits"]),)), "")
    return replace(label, key=key, shown=key, kind="/".join([*folders, glued["word"]])) if key in keys else label


def _of_folder(label: Named, contexts: dict[tuple[int, ...], set[tuple[str, ...]]]) -> Named:
    if label.context:
        return label
    for folder in label.unit.folders:
        found = contexts.get(numbers_of(folder), set()) if re.search(r"\d", folder) else set()
        kinds = label.kind.split("/")
        if len(found) == 1 and folder in kinds:
            plain = re.sub(r"[-_. ]*\d+[-_. ]*", "", folder)
            kind = "/".join(plain if one == folder else one for one in kinds)
            return replace(label, context=next(iter(found)), kind=kind)
    return label
