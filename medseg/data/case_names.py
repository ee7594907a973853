"""What found cases are called, and which of them are of one patient, by their folders and file names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from medseg.data.class_folders import is_anatomy
from medseg.data.file_names import Named
from medseg.data.file_pairs import FoundCase
from medseg.data.role_words import PLAIN, SPLIT, words
from medseg.data.sequence_words import SEQUENCE
from medseg.io.files.case_id import safe, unique

# Words for what many patients have in common.
NO_PATIENT = {
    "benign", "malignant", "normal", "abnormal", "healthy", "diseased", "sick", "positive", "negative",
    "cancer", "control", "controls", "glaucoma", "non", "no", "not", "hgg", "lgg", "covid", "pneumonia",
    "tuberculosis", "tb", "grade", "class", "type", "subset", "fold", "batch", "site", "center", "hospital",
    "clinic", "scanner", "vendor", "cohort", "group", "male", "female", "adult", "pediatric",
}  # fmt: skip
# Words for how images were made from others of the same patients: `cropped/pat1` is of `orig/pat1`'s patient.
VERSION = {
    "cropped", "crop", "resampled", "resized", "isotropic", "iso", "normalized", "norm", "orig", "original", "raw",
    "full", "coregistered", "registered", "preprocessed", "processed", "native", "denoised", "filtered",
}  # fmt: skip


def case_names(cases: Sequence[FoundCase]) -> list[str]:
    """A name for each case: the last folder that says whose it is and the key, with more folders where needed."""
    shown = [_shown_key(case) for case in cases]
    names: list[str] = []
    for depth in range(0 if len({case.context for case in cases}) == 1 else 1, 5):
        names = [
            safe("_".join([*_last(case.context, depth), *([key] if key else [])]) or image_of(case).unit.name)
            for case, key in zip(cases, shown, strict=True)
        ]
        if len({name.lower() for name in names}) == len(names):
            return names
    parts = [
        "_".join(part for part in (image_of(case).split, name) if part) for case, name in zip(cases, names, strict=True)
    ]
    return unique(parts, [str(image_of(case).unit.path) for case in cases])


def _last(folders: tuple[str, ...], number: int) -> tuple[str, ...]:
    return folders[max(len(folders) - number, 0) :]


def _shown_key(case: FoundCase) -> str:
    """The key as the first image's name writes it."""
    image = image_of(case)
    if image.key == case.key:
        return image.shown
    normal = re.sub(r"[_\-. ]", "_", image.shown.lower())
    return image.shown[: len(case.key)] if normal.startswith(case.key) else case.key


def image_of(case: FoundCase) -> Named:
    """Return the case's first image, which stands for it."""
    return next(iter(case.images.values()))


def groups(cases: Sequence[FoundCase]) -> list[str]:
    """The subject of BIDS, the name that versions of an image share, or the folder that several cases share."""
    subjects = [next((f for f in case.context if f.lower().startswith("sub-")), "") for case in cases]
    if all(subjects):
        return subjects if len(set(subjects)) < len(cases) else [""] * len(cases)
    persons = [_person(case) for case in cases]
    versions = Counter(persons)
    if any(map(_is_version, cases)) and max(versions.values()) <= len({case.context for case in cases}):
        return [person if versions[person] > 1 else "" for person in persons]
    folders = ["" if _says_no_patient(case.context) or _is_of_site(case) else "/".join(case.context) for case in cases]
    shared = Counter(folders)
    if len(shared) == 1:
        return [""] * len(cases)
    # A folder of more than half of all cases is that of a scanner or a grade, not of a patient.
    return [f if 1 < shared[f] <= max(2, len(cases) // 2) else "" for f in folders]


def _is_version(case: FoundCase) -> bool:
    """Whether a case's folder says how its image was made: ``cropped``, ``T1``."""
    return bool(case.context) and _of_version(case.context[-1])


def _of_version(text: str) -> bool:
    found = words(text)
    return bool(found) and (all(w in VERSION for w in found) or re.fullmatch(SEQUENCE, "".join(found)) is not None)


def _person(case: FoundCase) -> str:
    """Folders and key of a case without words for the version of its images."""
    folders = case.context[:-1] if _is_version(case) else case.context
    return "_".join([*folders, *(part for part in case.key.split("_") if not _of_version(part))])


def _is_of_site(case: FoundCase) -> bool:
    """Whether image and label lie in folders called after one word alone: `oslo/1` and `oslo_masks/1`."""
    label = next((found[0] for found in case.labels.values() if found), None)
    site = case.context[-1] if case.context else ""
    return label is not None and site not in label.unit.folders and not any(letter.isdigit() for letter in site)


def _says_no_patient(context: Sequence[str]) -> bool:
    """Whether the innermost folder is a diagnosis, a site, an organ or a part by its words: ``benign``, ``subset3``."""
    letters = [word for word in words(context[-1]) if not word.isdigit()] if context else []
    known = NO_PATIENT | SPLIT.keys() | (PLAIN if any(word in NO_PATIENT for word in letters) else set())
    return bool(letters) and (
        all(word in known or word.startswith("tumo") for word in letters) or is_anatomy(context[-1])
    )
