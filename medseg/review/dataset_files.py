"""Writes a dataset of corrections: a scan and a label file a case, and the tables that say what they are."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import yaml

from medseg.data.layout_dicom import patient_hash
from medseg.data.patient_groups import patient_of
from medseg.errors import InputError, UsageError
from medseg.harmless import TableWriter
from medseg.io.files.atomic import write_text
from medseg.io.nifti import write_labels, write_scan
from medseg.io.read import read_scan
from medseg.review.case_table import in_use
from medseg.review.made_by import MadeBy
from medseg.review.match import as_plain
from medseg.review.readings import labels_of, verdict_of
from medseg.review.review_case import ReviewCase
from medseg.review.store import Store
from medseg.types import LabelMap, LabelTable

WRITTEN = TABLE, DESCRIPTION, RECORD = "cases.csv", "dataset.yaml", "corrections.csv"
COLUMNS = ("case", "label", "group", "split")  # of the table of cases, beside that of the scans
IMAGES, LABELS = "images", "labels"
TRAIN, HELD_OUT = "train", "validation"
MOST_OBJECTS = 65_535
LOG = "medseg.log"


@dataclass(frozen=True)
class DatasetRow:
    """One case of an exported dataset, and where its labels come from."""

    case_id: str
    group: str
    split: str
    reader: str
    verdict: str
    revision: int
    changed_voxels: int
    labels_sha256: str


@dataclass(frozen=True)
class NewDataset:
    """Where a dataset is written, and the class of numbered objects, where they are its labels."""

    folder: Path
    numbered: LabelTable | None = None


@dataclass(frozen=True, eq=False)
class WrittenCase:
    """A case that was written, and what the description of the dataset must say of it."""

    row: DatasetRow
    names: frozenset[str]  # as `as_plain` writes them
    table: LabelTable
    images: tuple[str, ...]  # a file for each channel, or one with all of them
    channels: tuple[int, ...]  # of each file
    modalities: tuple[str | None, ...]
    is_on_one_grid: bool


def make_room(place: Path) -> None:
    """Delete a dataset written before; refuse a folder with anything else in it."""
    place.mkdir(parents=True, exist_ok=True)
    foreign = [path.name for path in place.iterdir() if path.name not in (*WRITTEN, IMAGES, LABELS, LOG)]
    if foreign or (any((place / name).exists() for name in (IMAGES, LABELS)) and not (place / RECORD).is_file()):
        raise UsageError(
            f"the folder holds something else ('{(foreign or [IMAGES])[0]}')",
            where=place,
            fix="Choose a new --out.",
        )
    (place / DESCRIPTION).unlink(missing_ok=True)  # first, so that half a dataset is none
    for name in (IMAGES, LABELS):
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).mkdir()
    write_text(place / RECORD, "")


def write_case(store: Store, case: ReviewCase, name: str, into: NewDataset, first: WrittenCase | None) -> WrittenCase:
    """Write a judged case's scans and the labels that count.

    - `name`: of its scan's file.
    - `first`: the case written first, whose classes and channels must be the same.
    """
    channels, verdict = store.channels(case.case_id), case.verdict
    assert verdict is not None
    scans = [read_scan(found, allow_uneven=True, allow_incomplete=True) for found in channels]
    scan = scans[0]
    labels = (
        in_use(labels_of(store, case.case_id, verdict.revision), store.model_labels(case.case_id).table)
        if into.numbered is None
        else _numbered(store, case.case_id, verdict.revision, into.numbered)
    )
    labels.geometry.match(scan.geometry, what="the labels and the scan", where=case.case_id)
    images = [f"{case.case_id}_{number:04d}.nii.gz" for number in range(len(scans))]
    if len(scans) == 1:
        images = [f"{case.case_id}.nii.gz"]
    revision = next((one for one in case.revisions if one.number == verdict.revision), None)
    row = DatasetRow(
        case.case_id,
        patient_hash(channels[0].files[0]) if channels[0].format == "dicom" else _patient_by_name(case.case_id),
        "",
        verdict.who,
        str(verdict_of(case)),
        verdict.revision,
        0 if revision is None else int(revision.changed_voxels or 0),
        verdict.labels_sha256 or "",
    )
    one = WrittenCase(
        row,
        as_plain([case.case_id, name]),
        labels.table,
        tuple(f"{IMAGES}/{image}" for image in images),
        tuple(channel.channels for channel in scans),
        tuple(channel.modality for channel in scans),
        is_on_one_grid=all(other.geometry.matches(scan.geometry) for other in scans),
    )
    _check_table(one, first or one)
    for channel, image in zip(scans, one.images, strict=True):
        write_scan(channel, into.folder / image)
    write_labels(labels, into.folder / LABELS / f"{case.case_id}.nii.gz", scan.source)
    return one


def _numbered(store: Store, case_id: str, revision: int, table: LabelTable) -> LabelMap:
    """The ids of a revision's objects, numbered from 1 on."""
    objects = store.objects(case_id, revision)
    if objects is None:
        raise InputError(
            "its labels were corrected without numbering the objects, which the model learns from",
            fix="Open it in `medseg review`, correct the objects there (d, j and f), and accept it again.",
        )
    values, ids = np.unique(objects, return_inverse=True)
    ids = ids.reshape(objects.shape) + (values[0] != 0)
    if ids.max() > MOST_OBJECTS:
        raise InputError(
            f"it has {ids.max()} objects, and a label file holds {MOST_OBJECTS} at most",
            fix="Leave it out, or cut its image into parts.",
        )
    return LabelMap(ids.astype(np.uint16), store.labels(case_id, revision).geometry, table)


def _patient_by_name(case_id: str) -> str:
    """What stands for the patient of a case whose files say nothing of one."""
    return hashlib.sha256(patient_of(case_id).encode()).hexdigest()[:16]


def _check_table(one: WrittenCase, first: WrittenCase) -> None:
    """Refuse a case whose classes or channels are not those of the others, as after a change of the model."""
    classes = [[(entry.value, entry.name) for entry in case.table] for case in (one, first)]
    if classes[0] != classes[1] or one.channels != first.channels:
        raise InputError(
            f"its classes or channels are not those of {first.row.case_id}",
            where=one.row.case_id,
            fix="Export the results of each model by themselves.",
        )


def describe(into: NewDataset, rows: Sequence[DatasetRow], written: Sequence[WrittenCase], maker: MadeBy) -> None:
    """Write what the dataset is, last of all its files.

    Channels have the names that the model which made the results gives them; another may take them in another order.
    """
    place = into.folder
    first, package = written[0], maker.package
    is_its_own = package is not None and package.hash == maker.identity.hash
    known = [(one.name, one.modality) for one in package.card.input.channels] if package and is_its_own else []
    if len(known) != len(first.images) or {name for name, _ in known} & set(COLUMNS):
        known = [("image" if len(first.images) == 1 else f"image {n}", None) for n in range(len(first.images))]
    channels = {name: stated or own for (name, stated), own in zip(known, first.modalities, strict=True)}
    of_case = {one.row.case_id: one for one in written}
    files = [
        (row.case_id, *of_case[row.case_id].images, f"{LABELS}/{row.case_id}.nii.gz", row.group, row.split)
        for row in rows
    ]
    write_text(place / TABLE, _csv(("case", *channels, *COLUMNS[1:]), files))
    names = [entry.name for entry in fields(DatasetRow)]
    write_text(place / RECORD, _csv(names, [list(asdict(row).values()) for row in rows]))
    description = {
        "name": f"{maker.identity.name}-corrections",
        "description": f"Results of {maker.identity}, corrected and accepted by people with medseg review.",
        "channels": channels,
        "resample_channels": not all(one.is_on_one_grid for one in written),
        "labels": {entry.name: entry.value for entry in first.table},
        **({} if into.numbered is None else {"references": "instances"}),
        "cases": TABLE,
    }
    write_text(place / DESCRIPTION, yaml.safe_dump(description, sort_keys=False, allow_unicode=True))


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()
