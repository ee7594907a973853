"""What several labels of one case are: masks of several classes, objects, or one thing drawn by several people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.data.dataset import ArrayKeys
from medseg.data.file_names import OUTSIDE
from medseg.data.file_pairs import FoundCase
from medseg.data.reference_files import read_array_labels
from medseg.data.role_words import LABEL, words
from medseg.errors import MedsegError
from medseg.io.arrays import is_array_file
from medseg.io.files.case_id import unique
from medseg.io.read import load_scan, read_labels

# Masks of one case that share so much of their voxels (Dice) are drawings of one thing.
SAME_THING = 0.4
# A mask of so much of an image, inside which another lies, shows where there is an image at all.
FIELD, INSIDE = 0.3, 0.99
# A mask that lies wholly inside another is a class of its own up to this part of it; of more it is a rater's.
MOST_OF = 0.8
MOST_READ = 3
# Of several kinds of label the first in this order is taken where nothing else decides.
PREFERRED = ("consensus", "manual", "gt", "truth", "seg", "label", "annotation", "mask")


@dataclass(frozen=True)
class Variants:
    """How the labels of cases are to be taken.

    - `way`: one label map a case, several masks of one class that count together, a mask for each class, or a mask for
      each object.
    - `chosen`: kinds of label taken: one, those that count together, or those of the classes in order.
    - `ambiguous`: what else they could be.
    """

    way: Literal["one", "union", "classes", "objects"]
    chosen: tuple[str, ...]
    ambiguous: tuple[str, ...] = ()


def settle(cases: Sequence[FoundCase], *, overlapping: bool = False) -> Variants:
    """Say what the labels of cases are, by their names and by some of their voxels.

    - `overlapping`: whether a person says that masks of one place are of classes that share voxels, and not of raters.
    """
    counts = Counter(kind for case in cases for kind in case.labels)
    unclear: list[str] = []
    outside = [kind for kind in counts if OUTSIDE.search(kind)]
    if len(outside) < len(counts):
        unclear += [f"masks of the field of view, not read: {_quoted(outside)}"] if outside else []
        for kind in outside:
            del counts[kind]
    elif outside:
        unclear.append(
            f"the only labels are {_quoted(outside)}, by their names masks of where there is an image or a brain; "
            "that is what a model of them learns"
        )
    if _are_objects(cases, counts):
        return Variants("objects", tuple(sorted(counts)), tuple(unclear))
    if twice := [kind for kind in counts if any(len(case.labels.get(kind, ())) > 1 for case in cases)]:
        files = next(case.labels[twice[0]] for case in cases if len(case.labels.get(twice[0], ())) > 1)
        shown = _quoted(["/".join((*one.unit.folders, one.unit.path.name)) for one in files])
        unclear.append(f"several labels of one image that nothing distinguishes ({shown}), of which the first is taken")
    if len(counts) == 1:
        return Variants("one", tuple(counts), tuple(unclear))
    read = _some_voxels(cases, tuple(counts))
    for kind in _fields_of_view(read, tuple(counts)):
        unclear.append(f"masks of the field of view, not read: {_quoted([kind])}")
        del counts[kind]
    kinds = sorted(counts)
    if len(kinds) == 1:
        return Variants("one", tuple(kinds), tuple(unclear))
    alike = not overlapping and len({_without_numbers(kind) for kind in kinds}) == 1
    if alike and _share_voxels(read, kinds, default=True):
        unclear.append(
            f"labels of {len(kinds)} raters, or drawn {len(kinds)} times ({_quoted(kinds)}), of which "
            f"{_quoted(kinds[:1])} is taken; name the files of another as 'label'"
        )
        return Variants("one", (kinds[0],), tuple(unclear))
    more = [] if overlapping else _continued(cases, counts)
    if more and all(_is_mask(read, kind) for kind in kinds) and not _share_voxels(read, more, default=False):
        several = sum(sum(kind in case.labels for kind in more) > 1 for case in cases)
        unclear.append(
            f"{several} of {len(cases)} images have several masks ({_quoted(more)}), which are taken together as one "
            "class; list them in a table with a column for each where they are classes"
        )
        return Variants("union", tuple(more), tuple(unclear))
    masks = [kind for kind in kinds if _is_mask(read, kind)]
    inside = [] if overlapping else _nested(read, masks)
    if len(masks) > 1 and (overlapping or inside or not _share_voxels(read, masks, default=False)):
        for small, large in inside:
            unclear.append(
                f"'{small}' lies inside '{large}': each is taken as a class, and the smaller lies on top; where both "
                "are drawings of one thing, name the files of one as 'label'"
            )
        if rest := [kind for kind in kinds if kind not in masks]:
            unclear.append(f"labels of other kinds, not read: {_quoted(rest)}")
        return Variants("classes", tuple(masks), tuple(unclear))
    best = min(kinds, key=lambda kind: (-counts[kind], _rank(kind), kind))
    unclear.append(
        f"{len(kinds)} kinds of label ({_quoted(kinds)}), of which {_quoted([best])} is taken; name the files of "
        "another as 'label'" + (", or state overlapping: true where each is a class" if len(masks) > 1 else "")
    )
    return Variants("one", (best,), tuple(unclear))


def _continued(cases: Sequence[FoundCase], counts: Mapping[str, int]) -> list[str]:
    """The kind that every case has, and those that some have beside it, which are its name and a number.

    So a second lesion of an image is saved: `x_mask_1` beside `x_mask`. What most cases have is a class or a rater's.
    """
    whole = [kind for kind, count in counts.items() if count == len(cases)]
    if len(whole) != 1:
        return []
    pattern = re.compile(re.escape(whole[0]) + r"[-/_ ]?\d+")
    others = sorted(kind for kind in counts if kind != whole[0])
    rare = all(pattern.fullmatch(kind) and 2 * counts[kind] <= len(cases) for kind in others)
    return [whole[0], *others] if others and rare else []


def class_names(kinds: Sequence[str]) -> dict[str, str]:
    """Names of classes by what distinguishes their masks, less the folders that all share."""
    split = [kind.split("/") for kind in kinds]
    while all(len(parts) > 1 for parts in split) and len({parts[0] for parts in split}) == 1:
        split = [parts[1:] for parts in split]
    return dict(zip(kinds, unique(["_".join(parts) for parts in split], list(kinds)), strict=True))


def _are_objects(cases: Sequence[FoundCase], counts: Mapping[str, int]) -> bool:
    """Whether cases have several labels whose names are nowhere else: one for each object."""
    several = [case for case in cases if sum(map(len, case.labels.values())) > 1]
    once = sum(1 for count in counts.values() if count == 1)
    return len(counts) > 2 and once > 0.9 * len(counts) and len(several) >= 0.5 * len(cases) and len(cases) > 1


def _some_voxels(cases: Sequence[FoundCase], kinds: Sequence[str]) -> list[dict[str, npt.NDArray[Any]]]:
    """Labels of a few cases that have most of the kinds, by kind; those that cannot be read are missing."""
    most = sorted(cases, key=lambda case: -len(case.labels))[:MOST_READ]
    return [
        {
            kind: array
            for kind in kinds
            if kind in case.labels and (array := _voxels(case.labels[kind][0].unit.path)) is not None
        }
        for case in most
    ]


def _voxels(path: Path) -> npt.NDArray[Any] | None:
    try:
        if path.is_dir():
            plane: npt.NDArray[Any] = load_scan(path).array[0]
            return plane
        return read_array_labels(path, ArrayKeys()).array if is_array_file(path) else read_labels(path).array
    except MedsegError:
        return None


def _fields_of_view(read: Sequence[Mapping[str, npt.NDArray[Any]]], kinds: Sequence[str]) -> list[str]:
    """Kinds whose masks cover much of the image and hold all of another's."""
    found = []
    for kind in kinds:
        arrays = [labels for labels in read if kind in labels]
        if arrays and _may_be_field(kind) and all(_is_field(labels, kind) for labels in arrays):
            found.append(kind)
    return found if len(found) < len(kinds) else []


def _may_be_field(kind: str) -> bool:
    """Whether a kind's name says no more than that it is a mask, and of what folder."""
    own = words(kind.rpartition("/")[2])
    return (
        _rank(kind) >= PREFERRED.index("mask")
        and not any(w in LABEL and "mask" not in w for w in own)
        and (len(set(own) - {"mask", "masks"}) == 0 or OUTSIDE.search(kind) is not None)
    )


def _is_field(labels: Mapping[str, npt.NDArray[Any]], kind: str) -> bool:
    mask = labels[kind] > 0
    others = [array > 0 for name, array in labels.items() if name != kind and array.shape == mask.shape]
    filled = [other for other in others if other.any()]
    return (
        bool(filled)
        and len(np.unique(labels[kind])) <= 2
        and mask.mean() > FIELD
        and all(np.count_nonzero(other & mask) >= INSIDE * np.count_nonzero(other) for other in filled)
        and all(other.sum() < 0.8 * mask.sum() for other in filled)
    )


def _is_mask(read: Sequence[Mapping[str, npt.NDArray[Any]]], kind: str) -> bool:
    arrays = [labels[kind] for labels in read if kind in labels]
    return all(len(np.unique(array)) <= 2 for array in arrays)


def _share_voxels(read: Sequence[Mapping[str, npt.NDArray[Any]]], kinds: Sequence[str], *, default: bool) -> bool:
    """Whether labels of these kinds lie where the others lie."""
    dice = []
    for labels in read:
        known = [labels[kind] > 0 for kind in kinds if kind in labels]
        for one, other in pairwise(known):
            if one.shape == other.shape and one.any() and other.any():
                dice.append(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))
    return bool(np.median(dice) > SAME_THING) if dice else default


def _nested(read: Sequence[Mapping[str, npt.NDArray[Any]]], kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Kinds of which one lies inside another in all cases, the smaller first; none where others are of one thing.

    A tumor lies inside its organ to the last voxel, whereas the outlines of two raters cross, or differ by little.
    """
    found = []
    for one, other in combinations(kinds, 2):
        both = [(labels[one] > 0, labels[other] > 0) for labels in read if one in labels and other in labels]
        both = [(a, b) for a, b in both if a.shape == b.shape and a.any() and b.any()]
        sizes = [(np.count_nonzero(a), np.count_nonzero(b), np.count_nonzero(a & b)) for a, b in both]
        if not sizes or float(np.median([2 * shared / (a + b) for a, b, shared in sizes])) <= SAME_THING:
            continue
        if all(shared == a and a < MOST_OF * b for a, b, shared in sizes):
            found.append((one, other))
        elif all(shared == b and b < MOST_OF * a for a, b, shared in sizes):
            found.append((other, one))
        else:
            return []
    return found


def _rank(kind: str) -> int:
    return next((n for n, word in enumerate(PREFERRED) if word in kind.lower()), len(PREFERRED))


def _without_numbers(kind: str) -> str:
    return re.sub(r"\d+(st|nd|rd|th)?", "#", kind.lower())


def _quoted(kinds: Sequence[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds[:6]) + (f" and {len(kinds) - 6} more" if len(kinds) > 6 else "")
