"""Puts many paths into a few patterns, for a person to see what was found."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from medseg.io.files.case_id import stem

MOST = 4


def patterns(paths: Sequence[str]) -> str:
    """Patterns of paths, with ``*`` for what differs, and how many each stands for.

    >>> patterns(["a/1/t1.nii.gz", "a/2/t1.nii.gz"])
    'a/*/t1.nii.gz (2)'
    """
    groups: dict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for path in paths:
        parts = path.split("/")
        groups[tuple(_shape(part) for part in parts)].append(parts)
    if len(groups) > MOST:
        groups = _by_depth(paths)
    found = [(len(members), "/".join(map(_joined, zip(*members, strict=True)))) for members in groups.values()]
    texts = sorted(found, key=lambda item: (-item[0], item[1]))
    more = f" and {len(texts) - MOST} other patterns" if len(texts) > MOST else ""
    return ", ".join(f"{text} ({count})" for count, text in texts[:MOST]) + more


def _by_depth(paths: Sequence[str]) -> dict[tuple[str, ...], list[list[str]]]:
    """Groups of equal depth and ending, where finer ones would be too many."""
    groups: dict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for path in paths:
        parts = path.split("/")
        groups[(str(len(parts)), parts[-1].partition(".")[2])].append(parts)
    return groups


def _shape(part: str) -> str:
    return re.sub(r"[0-9a-fA-F]{8,}|\d+", "#", part)


def _joined(column: Sequence[str]) -> str:
    """What names share at their beginning and end, with a star between."""
    if len(set(column)) == 1:
        return column[0]
    start = _shared(column)
    end = _shared([name[len(start) :][::-1] for name in column])[::-1]
    return f"{start}*{end}"


def _shared(names: Sequence[str]) -> str:
    """What all names begin with."""
    first, last = min(names), max(names)
    return first[: next((n for n, letter in enumerate(first) if n >= len(last) or letter != last[n]), len(first))]


def masks_pattern(files: Sequence[Path]) -> str:
    """One name with a star for all masks of an image, of which the others' names begin with the shortest.

    >>> masks_pattern([Path("benign/benign (4)_mask.png"), Path("benign/benign (4)_mask_1.png")])
    'benign/benign (4)_mask*.png'
    """
    first = min(files, key=lambda file: len(file.name))
    name = stem(first.name)
    return (first.parent / f"{escape(name)}*{first.name[len(name) :]}").as_posix()
