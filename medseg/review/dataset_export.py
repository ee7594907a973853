"""Corrections of a review as a dataset to train on: scans, corrected labels, and which cases belong together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.config.arguments import check_arguments_of, listed
from medseg.counted import counted
from medseg.errors import InputError, MedsegError
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
from medseg.review.made_by import MadeBy, made_by
from medseg.review.match import as_plain
from medseg.review.opening import open_store
from medseg.review.readings import ACCEPTED, CORRECTED, verdict_of
from medseg.review.review_case import ReviewCase
from medseg.review.sources import CaseSource, read_sources
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
        The model whose card says what stays held out. By default, the one that made the results; where that is not on
        this machine any more, or another is to be trained on the corrections, that other one.
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
        When the model that made the results is not known, or not on this machine and no other is given.
    """
    paths = [Path(path) for path in listed(scans)]
    return corrections(Path(folder), Path(out), unchanged=unchanged, reviewer=reviewer, model=model, scans=paths)


def corrections(
    folder: Path,
    out: Path,
    *,
    unchanged: bool = False,
    reviewer: str | None = None,
    model: str | Path | None = None,
    start: str | Path | None = None,
    scans: Sequence[Path] = (),
) -> ExportedDataset:
    """Write a dataset as `export_dataset` does; what the card of `start` lists as held out stays held out as well."""
    place = output_folder(out)
    # Known before any review is read.
    given, started = (None if one is None else resolve_model(one) for one in (model, start))
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    written: list[WrittenCase] = []
    with open_store(folder, scans=scans) as store:
        maker = made_by(store.results.folder)
        package = _with_a_card(maker, given or (started if maker.package is None else None), folder)
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
                log.error("%s", error.about(case_id))
                continue
            written.append(one)
    further = () if started is None else started.card.training.held_out
    rows = _split(written, [*package.card.training.held_out, *further])
    if rows:
        describe(into, rows, written, replace(maker, package=package))
    return ExportedDataset(place, rows, skipped, failed)


def _with_a_card(maker: MadeBy, given: ModelPackage | None, results: Path) -> ModelPackage:
    """The model whose card says what stays held out: the one that made the results, or another that is given."""
    package = given or maker.package
    if package is None:
        installed = "" if maker.installed is None else f" (what is here is {maker.installed})"
        raise InputError(
            f"{maker.identity}, which made these results, is not on this machine{installed}, and a model's card says "
            "which cases must stay held out",
            where=results,
            fix="Give that very package with --model: its folder or zip, or models:/NAME/VERSION of a registry. Where "
            "it is lost, or another model is to be trained on the corrections, give the model to train --from.",
        )
    if package.hash != maker.identity.hash:
        log.warning(
            "These results were made by %s. What stays held out is what the card of %s lists: train from that one, "
            "and do not judge the other by these cases.",
            maker.identity,
            package.identity,
        )
    return package


def _object_class(package: ModelPackage) -> LabelTable | None:
    """The one class of the numbered objects that a model learned from; None where its classes are the labels."""
    if package.card.training.border_mm is None:
        return None
    things = tuple(entry for entry in package.card.table if entry.name != BORDER)
    if len(things) > 1:
        log.warning(
            "%s learned from numbered objects, and has %d classes of them; the objects of a dataset are all of one. "
            "The labels are written as classes, which train takes with --set border_mm=null.",
            package.identity,
            len(things),
        )
        return None
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
