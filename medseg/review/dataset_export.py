"""Corrections of a review as a dataset to train on: scans, corrected labels, and which cases belong together."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import yaml

from medseg.config.arguments import check_arguments, listed
from medseg.data.layout_dicom import patient_hash
from medseg.data.patient_groups import patient_of
from medseg.errors import FormatLimitation, InputError, MedsegError, UsageError
from medseg.harmless import TableWriter
from medseg.io.files.atomic import write_text
from medseg.io.files.case_id import stem
from medseg.io.files.writable import output_folder
from medseg.io.nifti import write_labels, write_scan
from medseg.io.read import read_scan
from medseg.models.package import ModelPackage
from medseg.review.case_table import in_use
from medseg.review.made_by import made_by
from medseg.review.match import as_plain
from medseg.review.readings import ACCEPTED, CORRECTED, labels_of, verdict_of
from medseg.review.review_case import ReviewCase
from medseg.review.sources import CaseSource, read_sources
from medseg.review.store import Store, open_store
from medseg.tracking.resolve import resolve_model
from medseg.types import LabelTable

log = logging.getLogger("medseg.review")

WRITTEN = TABLE, DESCRIPTION, RECORD = "cases.csv", "dataset.yaml", "corrections.csv"
COLUMNS = ("case", "label", "group", "split")  # of the table of cases, beside that of the scans
IMAGES, LABELS = "images", "labels"
TRAIN, HELD_OUT = "train", "validation"
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


@dataclass(frozen=True, repr=False)
class ExportedDataset:
    """The dataset, and why cases are not in it."""

    folder: Path
    rows: tuple[DatasetRow, ...]
    skipped: Mapping[str, str]  # cases that have nothing to teach, and why
    failed: Mapping[str, str]

    def __repr__(self) -> str:
        held_out = sum(row.split == HELD_OUT for row in self.rows)
        return f"ExportedDataset({len(self.rows)} cases, {held_out} held out, {len(self.failed)} failed)"

    @property
    def exit_code(self) -> int:
        """0 all written, 3 some could not be, 4 none was there to write."""
        return 4 if not self.rows else 3 if self.failed else 0


@check_arguments
def export_dataset(
    folder: Path | str,
    out: Path | str,
    *,
    unchanged: bool = False,
    reviewer: str | None = None,
    model: str | Path | None = None,
    scans: Sequence[Path | str] | Path | str = (),
) -> ExportedDataset:
    """Write accepted corrections as a dataset that `medseg audit` and `medseg train --from` take as it is.

    Scans and labels are written as NIfTI, on the scan's own grid and without any identifier. Cases of one patient share
    a group, a hash. Cases that the model's card lists as held out stay held out, and with them every case of the same
    patient, so that the old and the new model can be compared on what neither was trained on.

    Parameters
    ----------
    folder : path
        Results of `medseg predict` that were reviewed.
    out : path
        Folder for the dataset: new, or one written before, which is replaced.
    unchanged : bool
        Whether cases that were accepted as the model made them are part of it; they teach little.
    reviewer : str, optional
        Whose verdicts count; needed after blinded readings.
    model : str or path, optional
        The model that made the results, where it is not found by its name; its card says what was held out.
    scans : path or sequence of path
        Where the scans are, if they were moved since.

    Returns
    -------
    ExportedDataset
        The cases; one that cannot be written is an outcome, not an exception.

    Raises
    ------
    UsageError
        When there is no review, or the folder holds something else.
    InputError
        When the model that made the results is not known, or not on this machine.
    FormatLimitation
        When the model learned from numbered objects.
    """
    place = output_folder(out)
    if model is not None:
        resolve_model(model)  # that there is one is known before any review is read
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    written: list[_Written] = []
    with open_store(Path(folder), scans=[Path(path) for path in listed(scans)]) as store:
        package = _package(store.results.folder, model)
        _make_room(place)
        sources = read_sources(store.results.folder)
        for case_id, case in store.all_cases(reviewer).items():
            why = _why_skipped(case, unchanged=unchanged)
            if why is not None:
                skipped[case_id] = why
                continue
            try:
                one = _write(store, case, stem(Path(sources.get(case_id, CaseSource()).path).name), place, written)
            except MedsegError as error:
                failed[case_id] = str(error)
                log.error("%s: %s", case_id, error)
                continue
            written.append(one)
    rows = _split(written, package.card.training.held_out)
    if rows:
        _describe(place, rows, written, package)
    return ExportedDataset(place, rows, skipped, failed)


@dataclass(frozen=True, eq=False)
class _Written:
    """A case that was written, and what the description of the dataset must say of it."""

    row: DatasetRow
    names: frozenset[str]  # as `as_plain` writes them
    table: LabelTable
    images: tuple[str, ...]  # a file for each channel, or one with all of them
    channels: tuple[int, ...]  # of each file
    modalities: tuple[str | None, ...]
    is_on_one_grid: bool


def _package(results: Path, model: str | Path | None) -> ModelPackage:
    """The model that made the results, without whose card nobody knows what it held out."""
    maker = made_by(results, model)
    if maker.package is None:
        raise InputError(
            f"{maker.identity}, which made these results, is not on this machine, and its card says which cases must "
            "stay held out",
            where=results,
            fix="Give the package with --model.",
        )
    if maker.package.card.training.border_mm is not None:
        raise FormatLimitation(
            f"{maker.identity} learned from numbered objects, and this dataset would have classes alone",
            where=results,
            fix="Write the labels with --format nifti, and number the objects for training.",
        )
    return maker.package


def _make_room(place: Path) -> None:
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


def _why_skipped(case: ReviewCase, *, unchanged: bool) -> str | None:
    verdict = verdict_of(case)
    if case.model_sha256 is None:
        return "its results are gone"
    if verdict is None:
        return case.state
    if verdict == ACCEPTED and not unchanged:
        return "accepted as the model made it"
    return verdict if verdict not in (ACCEPTED, CORRECTED) else None


def _write(store: Store, case: ReviewCase, name: str, place: Path, written: Sequence[_Written]) -> _Written:
    channels, verdict = store.channels(case.case_id), case.verdict
    assert verdict is not None
    scans = [read_scan(found, allow_uneven=True, allow_incomplete=True) for found in channels]
    scan = scans[0]
    labels = in_use(labels_of(store, case.case_id, verdict.revision), store.model_labels(case.case_id).table)
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
    one = _Written(
        row,
        as_plain([case.case_id, name]),
        labels.table,
        tuple(f"{IMAGES}/{image}" for image in images),
        tuple(channel.channels for channel in scans),
        tuple(channel.modality for channel in scans),
        is_on_one_grid=all(other.geometry.matches(scan.geometry) for other in scans),
    )
    _check_table(one, written)
    for channel, image in zip(scans, one.images, strict=True):
        write_scan(channel, place / image)
    write_labels(labels, place / LABELS / f"{case.case_id}.nii.gz", scan.source)
    return one


def _patient_by_name(case_id: str) -> str:
    """What stands for the patient of a case whose files say nothing of one."""
    return hashlib.sha256(patient_of(case_id).encode()).hexdigest()[:16]


def _check_table(one: _Written, written: Sequence[_Written]) -> None:
    """Refuse a case whose classes or channels are not those of the others, as after a change of the model."""
    first = written[0] if written else one
    classes = [[(entry.value, entry.name) for entry in case.table] for case in (one, first)]
    if classes[0] != classes[1] or one.channels != first.channels:
        raise InputError(
            f"its classes or channels are not those of {first.row.case_id}",
            where=one.row.case_id,
            fix="Export the results of each model by themselves.",
        )


def _split(written: Sequence[_Written], held_out: Sequence[str]) -> tuple[DatasetRow, ...]:
    """Keep held out what the model's card lists, and every other case of those patients.

    Without any such case no split is stated, so that training makes one of its own.
    """
    listed_names = as_plain(held_out)
    patients = {one.row.group for one in written if one.names & listed_names}
    if not patients:
        return tuple(one.row for one in written)
    rows = tuple(replace(one.row, split=HELD_OUT if one.row.group in patients else TRAIN) for one in written)
    if all(row.split == HELD_OUT for row in rows):
        log.warning("Every corrected case is one that the model held out, so nothing is left to train on.")
    return rows


def _describe(place: Path, rows: Sequence[DatasetRow], written: Sequence[_Written], package: ModelPackage) -> None:
    """Write what the dataset is, last of all its files."""
    first = written[0]
    known = [(channel.name, channel.modality) for channel in package.card.input.channels]
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
        "name": f"{package.card.name}-corrections",
        "description": f"Results of {package.identity}, corrected and accepted by people with medseg review.",
        "channels": channels,
        "resample_channels": not all(one.is_on_one_grid for one in written),
        "labels": {entry.name: entry.value for entry in first.table},
        "cases": TABLE,
    }
    write_text(place / DESCRIPTION, yaml.safe_dump(description, sort_keys=False, allow_unicode=True))


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()
