"""Names of cases: safe as folder names on every system, distinct, and the same whatever order the inputs come in."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from medseg.io.files.patient_names import public_name

LONGEST = 80
MOST_PARENTS = 3
# What medseg itself puts beside the case folders, and names Windows keeps for devices.
TAKEN = {
    "cases.csv", "sources.csv", "run.json", "report.html", "journal.jsonl", "medseg.log", "mlflow.db", "review",
    "seconds.csv",
}  # fmt: skip
OF_SHARDS = re.compile(r"(run|cases|report)\.[\w-]+\.(json|jsonl|html)", re.IGNORECASE)  # and pages of a report
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
SUFFIXES = (
    ".seg.nrrd", ".nii.gz", ".img.gz", ".nii", ".hdr", ".img", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".png",
    ".tiff", ".tif", ".jpeg", ".jpg", ".bmp", ".gif", ".ppm", ".pgm", ".npy", ".npz", ".hdf5", ".h5",
)  # fmt: skip


def stem(name: str) -> str:
    """Return a file's name without the suffix of its format: ``scan.nii.gz`` becomes ``scan``."""
    lower = name.lower()
    return next((name[: -len(s)] for s in SUFFIXES if lower.endswith(s) and len(name) > len(s)), name)


def safe(name: str) -> str:
    """Return a name of letters A-Z a-z, digits, ``.``, ``_`` and ``-`` that every file system takes as a folder."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9._-]+", "_", plain)).strip("._- ")
    if not plain:
        plain = f"case-{_hash(name)}"
    if DEVICES.fullmatch(plain) or OF_SHARDS.fullmatch(plain) or plain.lower() in TAKEN:
        plain = f"case_{plain}"
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 9].rstrip('._-')}-{_hash(name)}"


def dicom_case_id(modality: str, series_uid: str, volume: str | None = None) -> str:
    """Return a name for a DICOM volume that tells nothing of the patient: modality and a hash of the series UID."""
    mark = series_uid if volume is None else f"{series_uid}/{volume}"
    kind = re.sub(r"[^a-z0-9]", "", modality.lower())[:8] or "dicom"
    return f"{kind}-{hashlib.sha256(mark.encode()).hexdigest()[:10]}"


def file_case_ids(paths: Sequence[Path], *, keep_names: bool = False) -> list[str]:
    """Name files, absolute and distinct, after themselves; where several share a name, after their parent folders too.

    Ids are distinct even where letter case is ignored. Of file and folder names that look like a patient's the id has a
    hash, unless `keep_names`. What else is there changes the id of those files alone that share a name with it.
    """
    shown = str if keep_names else public_name
    names = [safe(shown(stem(path.name))) for path in paths]
    for depth in range(1, MOST_PARENTS + 1):
        shared = _shared(names)
        names = [
            safe("_".join(map(shown, (*path.parts[1:-1][-depth:], stem(path.name)))))
            if name.lower() in shared
            else name
            for name, path in zip(names, paths, strict=True)
        ]
    # By where it lies below the folder that those of one name have in common, so that nothing else changes the hash.
    sharing: dict[str, list[Path]] = defaultdict(list)
    shared = _shared(names)
    for name, path in zip(names, paths, strict=True):
        if name.lower() in shared:
            sharing[name.lower()].append(path)
    above = {name: os.path.commonpath([path.parent for path in several]) for name, several in sharing.items()}
    marks = [
        Path(os.path.relpath(path, above[name.lower()])).as_posix() if name.lower() in above else ""
        for name, path in zip(names, paths, strict=True)
    ]
    # Names that are alike but for their ends, which a hash takes the place of, may be the same then.
    return unique(unique(names, marks), [path.as_posix() for path in paths])


def file_name(path: Path, *, keep_names: bool = False) -> str:
    """What results call a file: its name, or where that looks like a patient's, a hash of it with the suffix."""
    name = stem(path.name)
    return path.name if keep_names else public_name(name) + path.name[len(name) :]


def unique(names: Sequence[str], marks: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Append a hash of its mark to every name that another one shares, or that is taken."""
    shared = _shared([*names, *taken])
    return [
        f"{name[: LONGEST - 9]}-{_hash(mark)}" if name.lower() in shared else name
        for name, mark in zip(names, marks, strict=True)
    ]


def _shared(names: Sequence[str]) -> set[str]:
    """Names in lower case that occur more than once on a file system that ignores case."""
    return {name for name, count in Counter(n.lower() for n in names).items() if count > 1}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
