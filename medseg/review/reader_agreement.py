"""Readers of a review compared with each other and with the model, and what they have in common."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from medseg.config.arguments import check_arguments_of, listed
from medseg.config.bounds import MoreThan0, Resamples
from medseg.counted import counted
from medseg.errors import MedsegError, UsageError
from medseg.evaluation.consensus import Method, consensus
from medseg.evaluation.readers import MODEL, Agreement, Reading, compare_readers
from medseg.evaluation.readers_report import write_agreement
from medseg.io.files.atomic import write_text
from medseg.io.files.writable import report_folder
from medseg.io.formats import MANUAL, Labeled, write_file
from medseg.isolation.boundary import insist
from medseg.review.adjudication import disputes, worklist_csv
from medseg.review.opening import open_store
from medseg.review.readings import chosen_readers, not_independent, readings_of
from medseg.review.sources import read_sources
from medseg.types import Source

log = logging.getLogger("medseg.review")

CONSENSUS, WORKLIST = "consensus", "adjudication.csv"


@check_arguments_of("medseg.review.agreement")
def agreement(
    folder: Path | str,
    out: Path | str,
    *,
    reviewers: Sequence[str] | str = (),
    tolerances: Sequence[MoreThan0] = (1.0, 2.0),
    consensus: Literal["none", "majority", "staple"] = "none",
    n_bootstrap: Resamples = 2000,
) -> Agreement:
    """Compare the readers of a review: outlines, volumes and verdicts, of every two and of each with the model.

    Parameters
    ----------
    folder : path
        Results that were reviewed, as a rule with ``--blind``.
    out : path
        Folder for agreement.csv, volumes.csv, summary.json, report.html, and of two readers adjudication.csv: the cases
        they see differently, for a third person.
    reviewers : str or sequence of str
        Whom to compare; by default everybody who read.
    tolerances : sequence of float
        Tolerances of NSD, in mm.
    consensus : {"none", "majority", "staple"}
        What to write into ``out/consensus``: nothing, or for each case with labels of two readers or more one label
        map.
    n_bootstrap : int
        Resamples of every interval. Cases of one DICOM study are drawn together.

    Returns
    -------
    Agreement
        Every figure; a case that cannot be compared is an outcome, not an exception.

    Raises
    ------
    UsageError
        When there is no review, or nobody of a given name read.
    """
    place = report_folder(out)
    with open_store(Path(folder)) as store:
        names = chosen_readers(store, listed(reviewers))
        if MODEL in names:
            raise UsageError(f"a reader cannot be called '{MODEL}'", fix="Name the others with --reviewer.")
        readings = readings_of(store, names)
        studies = {case: source.study_uid or case for case, source in read_sources(store.results.folder).items()}
        found = compare_readers(
            readings, tolerances_mm=list(tolerances), patients=_numbered(studies), n_bootstrap=n_bootstrap
        )
        dependent = not_independent(store, names)
        extra: dict[str, Any] = {"not_independent": dependent}
        if consensus != "none":
            people = [reading for reading in readings if reading.reader != MODEL]
            extra["consensus"] = _write_consensus(people, consensus, place / CONSENSUS)
    for name, cases in dependent.items():
        log.warning(
            "%s started from another reader's labels in %s, which says little of agreement.",
            name,
            counted(len(cases), "case"),
        )
    found = replace(found, summary={**found.summary, **extra})
    write_agreement(found, place)
    if len(names) == 2:
        write_text(place / WORKLIST, worklist_csv(disputes(found, names)))
    return found


def _numbered(studies: Mapping[str, str]) -> dict[str, str]:
    """Say which cases are of one study, without its UID, which leads to a patient."""
    numbers = {study: f"study-{number}" for number, study in enumerate(dict.fromkeys(studies.values()))}
    return {case: numbers[study] for case, study in studies.items()}


def _write_consensus(readings: Sequence[Reading], method: Method, folder: Path) -> dict[str, Any]:
    """Write ``<case_id>.nii.gz`` for each case that two readers or more left labels of; return what came of it."""
    cases: dict[str, Any] = {}
    for case_id, group in itertools.groupby(sorted(readings, key=lambda one: one.case_id), lambda one: one.case_id):
        own = [reading for reading in group if reading.labels is not None]
        if len(own) < 2:
            continue
        try:
            made = insist(consensus, [reading.labels() for reading in own if reading.labels is not None], method)
        except MedsegError as error:
            cases[case_id] = {"error": str(error)}
            log.error("%s", error.about(f"{case_id}: no consensus"))
            continue
        folder.mkdir(exist_ok=True)
        write_file(Labeled(made.labels, Source("array"), MANUAL), folder / f"{case_id}.nii.gz")
        cases[case_id] = {
            "readers": [reading.reader for reading in own],
            "tied_voxels": made.tied,
            "sensitivity": {name: list(values) for name, values in made.sensitivity.items()},
        }
    return {"method": method, "cases": cases}
