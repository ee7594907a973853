"""What names of files and folders say: image or label, whose, of which part of the split, which class or rater.

A name is taken apart into the words that datasets use for roles; what remains is the key by which images and labels of
one case find each other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from medseg.data.file_units import Unit
from medseg.data.name_chunks import chunks_of, joined
from medseg.data.role_words import BESIDE, IMAGE, LABEL, OF_BIDS, OF_DECATHLON, OF_ROLES, PLAIN, SPLIT, is_label, words
from medseg.data.sequence_words import SEQUENCE

# Masks of where there is an image at all.
OUTSIDE = re.compile(
    r"(brain|head|body)[-_ ]?mask|fov|field[-_ ]?of[-_ ]?view|skull|brain[-_ ]?extraction", re.IGNORECASE
)
# What 3D Slicer ends segmentations in.
SEGMENTATION = (".seg.nrrd", ".seg.nhdr")
# More folders side by side than these are those of patients, whatever their names say.
MOST_ROLES = 8


@dataclass(frozen=True)
class Named:
    """A unit, and what its name says.

    - `context`: folders that say whose it is.
    - `key`: what its own name says of that, in lower case, parts joined by ``_``; `shown` as it is written.
    - `kind`: of a label, what distinguishes it from others of the case, with the names of folders of labels.
    """

    unit: Unit
    context: tuple[str, ...]
    key: str
    shown: str
    role: Literal["image", "label"] | None
    kind: str
    split: Literal["train", "validation", "test"] | None


def name_units(units: Sequence[Unit]) -> list[Named]:
    """Take the names of all units apart."""
    siblings: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for unit in units:
        for depth in range(len(unit.folders)):
            siblings[unit.folders[:depth]].add(unit.folders[depth])
    roles: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for unit in units:
        if role := chunks_of(unit.name)[1]:
            for depth in range(1, len(unit.folders) + 1):
                roles[unit.folders[:depth]].add(role)
    sites = {folders: _sites(beside) for folders, beside in siblings.items()}
    both = {folders for folders, found in roles.items() if len(found) == 2}
    return [_named(unit, siblings, both, sites) for unit in map(_of_own_folder, units)]


def _sites(folders: set[str]) -> dict[str, str]:
    """Of folders side by side, what those of images and those of labels are called after: `oslo` and `oslo_masks`.

    Nothing where all are called after one thing, or after sequences, which are channels.
    """
    roles: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for folder in sorted(folders):
        parts = words(folder)
        core = tuple(w for w in parts if w not in OF_ROLES)
        if any(not word.isdigit() for word in core):
            roles[core][folder] = "label" if is_label(parts) else "image"
    if len(roles) < 2 or any(re.fullmatch(SEQUENCE, "".join(core)) for core in roles):
        return {}
    found: dict[str, str] = {}
    for core, members in roles.items():
        if len(set(members.values())) == 2:
            plain = [folder for folder in members if tuple(words(folder)) == core]
            found |= dict.fromkeys(members, (*plain, "_".join(core))[0])
    return found


def _of_own_folder(unit: Unit) -> Unit:
    """The unit called as its folder, where that is the case's with a word: `p1/p1_lesion/p1.png` is p1/p1_lesion."""
    *above, folder = unit.folders or ("",)
    case = above[-1].lower() if above else ""
    if (
        not case
        or unit.name.lower() not in (case, folder.lower())
        or not re.match(rf"{re.escape(case)}[-_. ]", folder, re.IGNORECASE)
    ):
        return unit
    return replace(unit, folders=tuple(above), name=folder)


def _named(
    unit: Unit,
    siblings: dict[tuple[str, ...], set[str]],
    both: set[tuple[str, ...]],
    sites: dict[tuple[str, ...], dict[str, str]],
) -> Named:
    """Take one name apart.

    - `both`: folders in which names of files say which are images and which labels.
    - `sites`: of folders side by side, what images and labels share, by the folder.
    """
    context: list[str] = []
    labels: list[str] = []
    role: Literal["image", "label"] | None = None
    split: Literal["train", "validation", "test"] | None = None
    for depth, folder in enumerate(unit.folders):
        found = words(folder)
        split_here = next((SPLIT[w] for w in found if w in SPLIT), None)
        if len(found) == 2 and found[0] in IMAGE | LABEL and found[1] in OF_DECATHLON:
            split_here, found = OF_DECATHLON[found[1]], found[:1]
        few = len(siblings[unit.folders[:depth]]) <= MOST_ROLES and unit.folders[: depth + 1] not in both
        is_plain = all(
            w in SPLIT or w in PLAIN or w in IMAGE or w in LABEL or w in BESIDE or w.isdigit() for w in found
        )
        is_plain |= folder in OF_BIDS and any(above.startswith("sub-") for above in unit.folders[:depth])
        has_letters = any(not w.isdigit() for w in found)
        if (site := sites[unit.folders[:depth]].get(folder)) is not None:
            context.append(site)
            split = split_here or split
            if is_label(found):
                role, labels = "label", [*labels, "-".join(w for w in found if w in LABEL)]
            continue
        if is_label(found) and unit.folders[: depth + 1] in both:
            context.append(folder)
        elif is_label(found) and (few or is_plain):
            # `train_masks` and `val_masks` hold one kind of label.
            kind = folder if split_here is None else "_".join(w for w in found if w not in SPLIT)
            role, labels, split = "label", [*labels, kind], split_here or split
        elif any(w in IMAGE for w in found) and not _numbered(folder) and (few or is_plain):
            role, split = role or "image", split_here or split
        elif split_here is not None and (few or is_plain) and not _numbered(folder):
            split = split_here
        elif not (is_plain and has_letters and not _numbered(folder)):
            context.append(folder)
    chunks, own_role, kinds, own_split = chunks_of(_without_folder(unit.name, context))
    role = "label" if "label" in (role, own_role) or unit.path.name.lower().endswith(SEGMENTATION) else own_role or role
    shown = joined(unit.name, chunks)
    return Named(
        unit,
        tuple(context),
        "_".join(chunks).lower(),
        shown,
        role,
        "/".join([*labels, *(["-".join(kinds)] if kinds else [])]),
        own_split or split,
    )


def _numbered(folder: str) -> bool:
    """Whether a folder's name is a word and a number, as those of patients: ``patient01``, ``scan_3``."""
    return re.fullmatch(r"[A-Za-z]+[-_ ]?\d+", folder) is not None


def _without_folder(name: str, context: Sequence[str]) -> str:
    """A name without those of its own folders that it begins with: ``patient01/patient01_FLAIR`` is FLAIR."""
    for place in reversed(range(len(context))):
        folder = context[place]
        if name.lower() == folder.lower():
            return ""
        if name.lower().startswith(folder.lower()) and not name[len(folder)].isalnum():
            return _without_folder(name[len(folder) :].lstrip("_-. "), context[place + 1 :])
    return name


def numbers_of(text: str) -> tuple[int, ...]:
    """Whole numbers that stand in a name, in order."""
    return tuple(int(digits) for digits in re.findall(r"\d+", text))
