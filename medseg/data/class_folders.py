"""Folders that are called after what is drawn in them: `liver/labels/1` beside `spleen/labels/1`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from medseg.data.file_pairs import FoundCase, Pairs
from medseg.data.label_variants import settle
from medseg.data.role_words import words

# What folders of single tasks are called after, without a word for a side.
ANATOMY = {
    "liver", "spleen", "kidney", "kidneys", "pancreas", "heart", "lung", "lungs", "brain", "prostate", "bladder",
    "stomach", "colon", "esophagus", "duodenum", "gallbladder", "aorta", "adrenal", "uterus", "ovary", "rectum",
    "thyroid", "trachea", "femur", "tibia", "pelvis", "spine", "vertebra", "vertebrae", "rib", "ribs", "hippocampus",
    "atrium", "ventricle", "myocardium", "breast", "bone", "muscle", "vessel", "vessels", "tumor", "lesion", "nodule",
    "leber", "milz", "niere", "nieren", "lunge", "herz", "foie", "rate", "rein", "reins", "poumon",
}  # fmt: skip
SIDES = {"left", "right", "l", "r", "links", "rechts", "gauche", "droit"}


def with_class_folders(pairs: Pairs) -> Pairs:
    """Pairs whose labels are told from each other by the folders that are all that tells them.

    Labels of one image in several folders are classes where they lie apart. Images of their own in folders called after
    organs have one class each, which nobody drew in the others.
    """
    by_folder = [_by_folder(case) for case in pairs.cases]
    if any(len(found) > 1 for case in pairs.cases for found in case.labels.values()):
        return replace(pairs, cases=tuple(by_folder)) if settle(by_folder).way == "classes" else pairs
    organs = {case.context[-1] if case.context else "" for case in pairs.cases}
    kinds = {kind for case in pairs.cases for kind in case.labels}
    if len(organs) > 1 and len(kinds) == 1 and all(map(is_anatomy, organs)):
        return replace(pairs, cases=tuple(by_folder))
    return pairs


def is_anatomy(folder: str) -> bool:
    """Whether a folder's name is that of a part of the body, or what grows there, and no more: ``Left Kidney``."""
    found = words(folder)
    return bool(found) and all(word in ANATOMY | SIDES for word in found) and any(word in ANATOMY for word in found)


def _by_folder(case: FoundCase) -> FoundCase:
    labels = defaultdict(list)
    for kind, found in case.labels.items():
        for label in found:
            labels[label.context[-1] if label.context else kind].append(label)
    return replace(case, labels=labels)
