"""Corrections of a review as a dataset to train on: scans, corrected labels, and which cases belong together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.config.arguments import check_arguments_of, listed
from medseg.counted import counted
from medseg.errors import FormatLimitation, InputError, MedsegError
from medseg.io.files.case_id import stem
from medseg.io.files.writable import output_folder
from medseg.isolation.boundary import insist
from medseg.models.package import ModelPackage
from medseg.review.dataset_files import (
    HELD_OUT,
    TRAIN,
    DatasetRow,
    NewDataset,
    WrittenCase,
    describe,
    make_room,
    write_case,
)
from medseg.review.made_by import made_by
from medseg.review.match import as_plain
from medseg.review.readings import ACCEPTED, CORRECTED, verdict_of
from medseg.review.review_case import ReviewCase
from medseg.review.sources import CaseSource, read_sources
from medseg.review.store import open_store
from medseg.tracking.resolve import resolve_model
from medseg.types import LabelTable
from medseg.types.labels import BORDER

log = logging.getLogger("medseg.review")


@dataclass(frozen=True, repr=False)
class ExportedDataset:
    """The dataset, and why cases are not in it."""

    folder: Path
    rows: tuple[DatasetRow, ...]
    skipped: Mapping[str, str]  # cases that have nothing to teach, and why
    failed: Mapping[str, str]

    def __repr__(self) -> str:
        held_out = sum(row.split == HELD_OUT for row in self.rows)
        return f"ExportedDataset({counted(len(self.rows), 'case')}, {held_out} held out, {len(self.failed)} failed)"

    @property
    def exit_code(self) -> int:
        """0 all written, 3 some could not be, 4 none was there to write."""
        return 4 if not self.rows else 3 if self.failed else 0


@check_arguments_of("medseg.review.export_dataset")
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
        When the model learned from numbered objects of several classes.
    """
    place = output_folder(out)
    if model is not None:
        resolve_model(model)  # that there is one is known before any review is read
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    written: list[WrittenCase] = []
    with open_store(Path(folder), scans=[Path(path) for path in listed(scans)]) as store:
        package = _package(store.results.folder, model)
        into = NewDataset(place, _object_class(package))
        make_room(place)
        sources = read_sources(store.results.folder)
        for case_id, case in store.all_cases(reviewer).items():
            why = _why_skipped(case, unchanged=unchanged)
            if why is not None:
                skipped[case_id] = why
                continue
            try:
                name = stem(Path(sources.get(case_id, CaseSource()).path).name)
                one = insist(write_case, store, case, name, into, written[0] if written else None)
            except MedsegError as error:
                failed[case_id] = str(error)
                log.error("%s: %s", case_id, error)
                continue
            written.append(one)
    rows = _split(written, package.card.training.held_out)
    if rows:
        describe(into, rows, written, package)
    return ExportedDataset(place, rows, skipped, failed)


def _package(results: Path, model: str | Path | None) -> ModelPackage:
    """The model that made the results, without whose card nobody knows what it held out."""
    maker = made_by(results, model)
    if maker.package is None:
        installed = "" if maker.installed is None else f" (what is here is {maker.installed})"
        raise InputError(
            f"{maker.identity}, which made these results, is not on this machine{installed}, and its card says which "
            "cases must stay held out",
            where=results,
            fix="Give that very package with --model: its folder or zip, or models:/NAME/VERSION of a "
            "registry. Where it is lost, segment the scans again with the model that is here, in another folder, and "
            "bring the corrections there with `medseg review import`.",
        )
    return maker.package


def _object_class(package: ModelPackage) -> LabelTable | None:
    """The one class of the numbered objects that a model learned from; None where it learned from classes."""
    if package.card.training.border_mm is None:
        return None
    things = tuple(entry for entry in package.card.table if entry.name != BORDER)
    if len(things) > 1:
        raise FormatLimitation(
            f"{package.identity} learned from numbered objects of {len(things)} classes, and the objects of a dataset "
            "are all of one",
            where=package.card.name,
            fix="Train on the labels of each class by itself.",
        )
    return LabelTable(things)


def _why_skipped(case: ReviewCase, *, unchanged: bool) -> str | None:
    verdict = verdict_of(case)
    if case.model_sha256 is None:
        return "its results are gone"
    if verdict is None:
        return case.state
    if verdict == ACCEPTED and not unchanged:
        return "accepted as the model made it"
    return verdict if verdict not in (ACCEPTED, CORRECTED) else None


def _split(written: Sequence[WrittenCase], held_out: Sequence[str]) -> tuple[DatasetRow, ...]:
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
