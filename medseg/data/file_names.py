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
from medseg.data.sequence_words import SEQUENCE

LABEL = {
    "label", "labels", "labeled", "lbl", "lbls", "mask", "masks", "seg", "segs", "segmentation",
    "segmentations", "dseg", "gt", "gts", "groundtruth", "truth", "annotation", "annotations", "anno", "annot",
    "manual", "contour", "contours", "delineation", "ho", "consensus", "roi", "rois", "aseg", "segm", "segmented",
    "instances", "gold", "maske", "masken", "segmentierung", "segmentierungen", "masque", "masques", "mascara",
    "mascaras", "maschera", "maschere", "structures",
}  # fmt: skip
IMAGE = {
    "image", "images", "img", "imgs", "im", "imgaes", "scan", "scans", "volume", "volumes", "vol", "vols", "original",
    "originals", "orig", "raw", "input", "inputs", "photo", "photos", "imaging", "cxr", "dicom",
    "patient", "patients", "bild", "bilder", "aufnahme", "aufnahmen", "imagen", "imagenes", "immagine", "immagini",
}  # fmt: skip
# Of these, a number belongs to whose it is: `patient001`, where `img0001` is image 0001.
COUNTED = {"patient", "patients", "scan", "scans"}
# Words beside one for a label that distinguish labels of one case, if anything.
BESIDE = {"st", "nd", "rd", "th", "ground", "standard", "final", "corrected", "binary", "human", "expert", "rater",
          "reader", "observer", "obs", "annotator", "grader"}  # fmt: skip
SPLIT: dict[str, Literal["train", "validation", "test"]] = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
# nnU-Net's and the Decathlon's: imagesTr, labelsTs.
OF_DECATHLON: dict[str, Literal["train", "validation", "test"]] = {
    "tr": "train",
    "ts": "test",
    "vl": "validation",
    "va": "validation",
}
# Folders that say nothing of whose files are in them: BIDS's, and plain ones.
PLAIN = {
    "anat", "derivatives", "micr", "microscopy", "rawdata", "sourcedata", "data", "dataset", "datasets", "database",
    "set", "sets", "cases", "stage", "phase", "part", "task", "files", "png", "nii", "nifti", "jpg", "tif", "tiff",
    "of", "and", "the", "folder", "preprocessed", "processed", "registered", "coregistered",
}  # fmt: skip
# What folders of images and of labels do not share.
OF_ROLES = LABEL | IMAGE | BESIDE | PLAIN | SPLIT.keys() | OF_DECATHLON.keys()
# Folders of BIDS for a kind of scan, where a folder above them is a subject's.
OF_BIDS = {"dwi", "perf", "func", "fmap", "swi", "ct", "pet"}
# Masks of where there is an image at all.
OUTSIDE = re.compile(
    r"(brain|head|body)[-_ ]?mask|fov|field[-_ ]?of[-_ ]?view|skull|brain[-_ ]?extraction", re.IGNORECASE
)
# These belong to the word `mask` behind them: `T1_brain_mask` and BIDS's `desc-brain_mask` are masks of T1.
OF_MASK = re.compile(r"(?<![A-Za-z])(?:desc-)?(brain|head|body|fov|skull)[-_. ]+(masks?)(?![A-Za-z])", re.IGNORECASE)
WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
GLUED = re.compile(r"(?P<what>[a-z]{2,}?)(?:segmentation|seg|masks?|labels?)", re.IGNORECASE)
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


def words(text: str) -> list[str]:
    """Words and numbers of a name in lower case, also where only capitals part them."""
    return [word.lower() for word in WORD.findall(text)]


def name_units(units: Sequence[Unit]) -> list[Named]:
    """Take the names of all units apart."""
    siblings: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for unit in units:
        for depth in range(len(unit.folders)):
            siblings[unit.folders[:depth]].add(unit.folders[depth])
    roles: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for unit in units:
        if role := _chunks(unit.name)[1]:
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
            roles[core][folder] = "label" if _is_label(parts) else "image"
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
            if _is_label(found):
                role, labels = "label", [*labels, "-".join(w for w in found if w in LABEL)]
            continue
        if _is_label(found) and unit.folders[: depth + 1] in both:
            context.append(folder)
        elif _is_label(found) and (few or is_plain):
            # `train_masks` and `val_masks` hold one kind of label.
            kind = folder if split_here is None else "_".join(w for w in found if w not in SPLIT)
            role, labels, split = "label", [*labels, kind], split_here or split
        elif any(w in IMAGE for w in found) and not _numbered(folder) and (few or is_plain):
            role, split = role or "image", split_here or split
        elif split_here is not None and (few or is_plain) and not _numbered(folder):
            split = split_here
        elif not (is_plain and has_letters and not _numbered(folder)):
            context.append(folder)
    chunks, own_role, kinds, own_split = _chunks(_without_folder(unit.name, context))
    role = "label" if "label" in (role, own_role) or unit.path.name.lower().endswith(SEGMENTATION) else own_role or role
    shown = _joined(unit.name, chunks)
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


def _chunks(
    name: str,
) -> tuple[list[str], Literal["image", "label"] | None, list[str], Literal["train", "validation", "test"] | None]:
    """Chunks of a name that are its key, its role, chunks that say which label it is, and its part of the split."""
    key: list[str] = []
    kinds: list[str] = []
    held: list[str] = []  # digits glued to a word for a role
    role: Literal["image", "label"] | None = None
    split: Literal["train", "validation", "test"] | None = None
    chunks = [chunk for chunk in re.split(r"[_\-. ]+", OF_MASK.sub(r"\1\2", name)) if chunk]
    if chunks[1:] and chunks[-1] == "msk":  # at the end and small: MSK at the start is a clinic
        chunks[-1] = "mask"
    has_label = any(_is_label(words(chunk)) or GLUED.fullmatch(chunk) for chunk in chunks)
    for chunk in chunks:
        found = words(chunk)
        digits = [w for w in found if w.isdigit()]
        letters = [w for w in found if not w.isdigit()]
        if _is_label(found) or (GLUED.fullmatch(chunk) and not digits):
            role = "label"
            kinds.append(chunk)
            held += digits if letters and all(w in LABEL for w in letters) and found[-1].isdigit() else []
        elif letters and all(w in IMAGE for w in letters) and not (digits and letters[0] in COUNTED):
            role = role or "image"
            key += ["".join(digits)] if digits else []
        elif has_label and letters and (all(w in BESIDE for w in letters) or re.fullmatch(r"[rR]\d+", chunk)):
            kinds.append(chunk)
        elif len(letters) == 1 and letters[0] in SPLIT and len(letters[0]) > 2:
            split = SPLIT[letters[0]]
            held += digits
        elif len(letters) == 2 and letters[0] in SPLIT and len(letters[0]) > 2 and len(letters[1]) == 1:
            split = SPLIT[letters[0]]  # one of several: `testA`, `testB`
            key.append(chunk)
        else:
            key.append(chunk)
    if not key and held:
        key = held
        kinds = [re.sub(r"\d+", "", kind) for kind in kinds]
    return key, role, kinds, split


def _is_label(found: Sequence[str]) -> bool:
    return any(w in LABEL or w.startswith("labell") for w in found)  # the British spelling too


def _joined(name: str, chunks: Sequence[str]) -> str:
    """The key as the name writes it, with its own separators where its parts stand side by side."""
    if not chunks:
        return ""
    pattern = r"[_\-. ]+".join(re.escape(chunk) for chunk in chunks)
    found = re.search(pattern, name)
    return found[0] if found else "_".join(chunks)
