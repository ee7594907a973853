"""Finds the label files under a folder, whatever the layout, and what each case may be called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.errors import InputError, UsageError, first_line
from medseg.io.files.case_id import SUFFIXES, safe, stem
from medseg.io.files.patient_names import public_name
from medseg.io.files.review_folder import is_review

LABEL_SUFFIXES = tuple(s for s in SUFFIXES if s not in (".jpg", ".jpeg", ".hdr", ".img", ".img.gz"))
# Words that say a file holds labels, as a whole name or at the end of one, and the channel number of nnU-Net's images.
WORDS = "seg|dseg|segmentation|label|labels|labelmap|mask|masks|reference|ref|gt|pred|prediction|instances"
WHOLE = re.compile(rf"({WORDS})", re.IGNORECASE)
ENDING = re.compile(rf"[_.-]({WORDS}|\d{{4}})$", re.IGNORECASE)
LABEL_ENDING = re.compile(rf"(^|[_.-])({WORDS})$", re.IGNORECASE)
DATASET = "dataset.json"
DATASET_FOLDERS = ("labelsTr", "labelsTs")


@dataclass(frozen=True)
class LabelFile:
    """One label file and the names it may be matched by."""

    path: Path
    names: tuple[str, ...]  # what its case may be called, best first
    instances: Path | None = None  # the map of object ids `medseg predict` left beside it
    keep_names: bool = False  # in the case id, also where the name looks like a patient's
    not_annotated: frozenset[int] = frozenset()  # values of classes that nobody marked in it

    @property
    def case_id(self) -> str:
        """The best of its names, safe as a folder name; a hash where that looks like a patient's."""
        return safe(self.names[0] if self.keep_names else public_name(self.names[0]))


def find_labels(where: Path, *, keep_names: bool = False) -> list[LabelFile]:
    """Find one label file for each case, as `_found` does; each goes by the hashes of its names too."""
    return [
        replace(item, names=tuple(dict.fromkeys((*item.names, *map(public_name, item.names)))), keep_names=keep_names)
        for item in _found(where)
    ]


def _found(where: Path) -> list[LabelFile]:
    """Find one label file for each case.

    Understood are a single file; a folder of files, one for each case; folders of such folders; a folder for each case
    that holds one label file, or images and one file whose name ends in ``seg``, ``label``, ``mask`` and the like
    (the output of `medseg predict` is of that kind); and a dataset of the Decathlon's or nnU-Net's layout, whose
    ``labelsTr`` and ``labelsTs`` are taken.
    """
    if where.is_file():
        name = stem(where.name).removesuffix(".seg")
        return [LabelFile(where, (where.resolve().parent.name if WHOLE.fullmatch(name) else name,))]
    if not where.is_dir():
        raise UsageError("there is no such file or folder", where=where, fix="Check the path.")
    inside = [where / name for name in DATASET_FOLDERS if (where / name).is_dir()]
    found = [item for folder in inside or [where] for item in _in_folder(folder, top=True)]
    if not found:
        raise InputError(
            "no label files found",
            where=where,
            fix=f"Expected are files such as case.nii.gz ({', '.join(LABEL_SUFFIXES)}).",
        )
    return sorted(found, key=lambda item: (item.case_id, item.path))


def failed_cases(where: Path) -> dict[str, str]:
    """Cases of a `medseg predict` output that have no labels because they failed, and why."""
    failed: dict[str, str] = {}
    # Hidden folders are of cases that are being written.
    for path in sorted(where.glob("[!.]*/status.json")) if where.is_dir() else []:
        try:
            status = parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(status, dict) and status.get("state") == "failed":
            error = status.get("error")
            failed[path.parent.name] = str(error.get("what", error) if isinstance(error, dict) else error)
    return failed


def class_names(where: Path) -> dict[int, str]:
    """Names of the classes from the ``dataset.json`` in the folder of the labels or above it; empty without one."""
    # The Decathlon writes value: name; nnU-Net writes name: value, with lists of values for regions.
    pairs = [(value, name) if str(value).isdecimal() else (name, value) for value, name in _stated(where).items()]
    return {int(value): str(name) for value, name in pairs if str(value).isdecimal() and int(value) > 0}


def class_regions(where: Path) -> dict[str, tuple[int, ...]]:
    """Values that each class joins, of nnU-Net's ``dataset.json`` near a label file; empty where none has several."""
    regions: dict[str, tuple[int, ...]] = {}
    for name, given in _stated(where).items():
        values = tuple(given) if isinstance(given, list) else (given,)
        if name != "ignore" and all(type(value) is int for value in values) and any(values):
            regions[str(name)] = values
    return regions if any(len(values) > 1 for values in regions.values()) else {}


def _stated(where: Path) -> dict[Any, Any]:
    """Return the labels that the ``dataset.json`` in the folder of the labels or above it names; none without one."""
    folder = where.resolve().parent if where.is_file() else where.resolve()
    path = next((p for p in (folder / DATASET, folder.parent / DATASET) if p.is_file()), None)
    if path is None:
        return {}
    try:
        labels: Any = parse_json(path.read_bytes()).get("labels")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"cannot be read as a dataset's description ({first_line(error)})",
            where=path,
            fix="Correct it, or use --class 1=NAME.",
        ) from error
    return labels if isinstance(labels, dict) else {}


def plain_name(name: str) -> str:
    """A name without endings such as ``_seg`` and ``_0000``, in lower case, to match files that differ in these."""
    while (shorter := ENDING.sub("", name)) not in (name, ""):
        name = shorter
    return name.casefold()


def _in_folder(folder: Path, *, top: bool) -> Iterable[LabelFile]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file() and entry.name.lower().endswith(LABEL_SUFFIXES)]
    for entry in entries:
        if entry.is_dir() and not is_review(entry):
            yield from _in_folder(entry, top=False)
    if not files:
        return
    marked = [path for path in files if LABEL_ENDING.search(stem(path.name))]
    if not top and marked:
        yield _of_case_folder(folder, marked)
        return
    # An image may lie beside its labels: of files that differ only in such endings, the marked one is the labels.
    of_marked = {plain_name(stem(path.name)) for path in marked}
    for path in files:
        name = stem(path.name)
        if path in marked or plain_name(name) not in of_marked:
            names = (name,) if top or len(files) > 1 else (name, folder.name)
            yield LabelFile(path, names)


def _of_case_folder(folder: Path, marked: list[Path]) -> LabelFile:
    """The labels of a folder that holds one case."""
    instances = next((p for p in marked if stem(p.name).lower().endswith("instances")), None)
    labels = [p for p in marked if p != instances] or [marked[0]]
    # The same labels in several formats, of which `labels.seg.dcm` is one: the one that reads fastest is taken.
    by_stem = {stem(p.name).removesuffix(".seg") for p in labels}
    if len(by_stem) > 1:
        raise InputError(
            f"several files could be the labels: {', '.join(p.name for p in labels)}",
            where=folder,
            fix="Say which in a table: --table with columns case_id, prediction, reference.",
        )
    path = min(labels, key=lambda p: (not p.name.endswith((".nii.gz", ".nii")), p.name))
    name = stem(path.name)
    names = (folder.name,) if WHOLE.fullmatch(name) else (plain_or_whole(name), folder.name)
    return LabelFile(path, names, instances)


def plain_or_whole(name: str) -> str:
    """A name without its label ending, case kept."""
    return ENDING.sub("", name) or name
