"""Reviewed labels as files for others: DICOM that says who corrected and who vouches for them, or any other format."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from medseg.config.arguments import check_arguments_of, listed
from medseg.config.bounds import LabelFormats, names_in
from medseg.counted import counted
from medseg.errors import MedsegError, UsageError
from medseg.io.files.writable import check_own_folder, output_folder
from medseg.io.formats import WRITERS, Labeled, write
from medseg.io.read import read_scan
from medseg.isolation.boundary import insist
from medseg.post.class_values import measure_values
from medseg.post.volumes import measure_volumes
from medseg.review.case_table import in_use
from medseg.review.made_by import MadeBy, after, coded, identity_of, made_by
from medseg.review.opening import open_store
from medseg.review.readings import labels_of
from medseg.review.revisions import UNAIDED
from medseg.review.store import Store
from medseg.tracking.resolve import resolve_model
from medseg.types import Scan
from medseg.types.verification import DocumentReference, Verification

log = logging.getLogger("medseg.review")

REPORT = WRITERS["sr"].file_name
STEMS = {writer.file_name.partition(".")[0] for writer in WRITERS.values()}


@dataclass(frozen=True, repr=False)
class ExportedResults:
    """What was written of each accepted case, and why others were not."""

    files: dict[str, tuple[Path, ...]]
    failed: dict[str, str]
    skipped: dict[str, str]  # cases that no person accepted, and the state each is in

    def __repr__(self) -> str:
        counts = (
            f"{counted(len(self.files), 'case')} written, {len(self.failed)} failed, {len(self.skipped)} not accepted"
        )
        return f"ExportedResults({counts})"

    @property
    def exit_code(self) -> int:
        """0 all accepted cases written, 3 some were not, 4 none was."""
        return 4 if not self.files else 3 if self.failed else 0


@check_arguments_of("medseg.review.export_results")
def export_results(
    folder: Path | str,
    out: Path | str,
    *,
    format: LabelFormats,
    reviewer: str | None = None,
    organization: str = "",
    model: str | Path | None = None,
    scans: Sequence[Path | str] | Path | str = (),
) -> ExportedResults:
    """Write the labels of every accepted case as ``OUT/<case_id>/labels.*``, with what the person made of them.

    In DICOM SEG and RTSTRUCT a class that a person changed is semiautomatic, with the model as the algorithm and the
    person as the content's creator; one the model had found nothing of is manual; one that stayed is automatic, and
    where no class changed the SEG is byte for byte the one that `medseg predict` writes. The structured report is
    verified, with the person as observer, and names the report it takes the place of: one in the output folder, else
    the one beside the model's labels. An RTSTRUCT is approved. What an earlier export wrote of a case is removed where
    the case fails now or is not accepted any more, and where the file is older than the verdict that counts.

    Parameters
    ----------
    folder : path
        Results of `medseg predict` that were reviewed.
    out : path
        Folder for the files, made if missing.
    format : str or sequence of str
        Formats of `medseg export`; in one string, with commas between them.
    reviewer : str, optional
        Whose verdicts count; needed after blinded readings.
    organization : str
        Where the person works, for the report; by default the scan's own institution.
    model : str or path, optional
        The model that made the results, where it is not found by its name.
    scans : path or sequence of path
        Where the scans are, if they were moved since.

    Returns
    -------
    ExportedResults
        Files by case; one that fails is an outcome, not an exception.

    Raises
    ------
    UsageError
        When there is no review, or no such format.
    InputError
        When the results do not say which model made them.
    """
    place, formats = output_folder(out), names_in(format)
    check_own_folder(place, [Path(folder)], "the output is the folder of the results itself")
    given = None if model is None else resolve_model(model)  # known before any review is read
    if not formats:
        raise UsageError("--format: no format was named", fix=f"Choose among {', '.join(WRITERS)}.")
    files: dict[str, tuple[Path, ...]] = {}
    failed: dict[str, str] = {}
    skipped: dict[str, str] = {}
    with open_store(Path(folder), scans=[Path(path) for path in listed(scans)]) as store:
        maker = made_by(store.results.folder, given)
        for case_id in store.cases():
            state = store.case(case_id, reviewer).state
            if state != "accepted":
                skipped[case_id] = state
                _withdraw(place / case_id, "not accepted any more")
                continue
            try:
                files[case_id] = insist(_write, store, case_id, place / case_id, formats, reviewer, organization, maker)
            except MedsegError as error:
                failed[case_id] = str(error)
                log.error("%s", error.about(case_id))
                _withdraw(place / case_id, "failed")
    return ExportedResults(files, failed, skipped)


def _write(
    store: Store,
    case_id: str,
    folder: Path,
    formats: Sequence[str],
    reader: str | None,
    organization: str,
    maker: MadeBy,
) -> tuple[Path, ...]:
    case, result = store.case(case_id, reader), store.result(case_id)
    verdict = case.verdict
    assert verdict is not None
    model = coded(labels_of(store, case_id, 0), result, maker)
    labels = in_use(labels_of(store, case_id, verdict.revision), store.model_labels(case_id).table)
    labels = coded(labels, result, maker)
    revision = next((one for one in case.revisions if one.number == verdict.revision), None)
    drawn_by = verdict.who if revision is None else revision.who
    is_unaided = revision is not None and revision.origin == UNAIDED
    scan = read_scan(store.scan(case_id), allow_uneven=True, allow_incomplete=True)
    verification = Verification(verdict.who, datetime.fromisoformat(verdict.t), organization)
    item = Labeled(
        labels,
        scan.source,
        after(model, labels, identity_of(result, maker), drawn_by, is_unaided=is_unaided),
        volumes=measure_values(scan, labels, measure_volumes(labels)),
        verification=replace(verification, predecessor=_predecessor(folder, result.folder, verification)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name in _possible(formats, scan):
        files, notes, _ = write(name, item, folder)
        written += files
        for note in notes:
            log.warning("%s: %s", case_id, note)
    _withdraw(folder, "judged anew", older_than=verification.moment.timestamp(), keep=written)
    return tuple(dict.fromkeys(written))


def _withdraw(folder: Path, why: str, *, older_than: float = math.inf, keep: Sequence[Path] = ()) -> None:
    """Remove an export that does not hold any more, whole or in part, which would be sent with the others."""
    ours = (path for path in folder.glob("*") if path.name.partition(".")[0] in STEMS and path.is_file())
    gone = sorted(path for path in ours if path not in keep and path.stat().st_mtime < older_than)
    for path in gone:
        path.unlink()
    if gone:
        names = ", ".join(path.name for path in gone)
        log.warning("%s: %s, so that its earlier export was removed: %s", folder.name, why, names)
    with suppress(OSError):  # what lies in it stays
        folder.rmdir()


def _possible(formats: Sequence[str], scan: Scan) -> list[str]:
    names = [name for name in formats if scan.source.format == "dicom" or not WRITERS[name].needs_dicom]
    if not names:
        raise UsageError(
            f"{', '.join(formats)} refer to a DICOM series, and the scan is not one", fix="Add a format such as nifti."
        )
    return names


def _predecessor(folder: Path, results: Path, verification: Verification) -> DocumentReference | None:
    """The report that a new one takes the place of: one written before, else that of the model's labels."""
    from medseg.io.dicom_results.predecessor import predecessor_in

    for path in (folder / REPORT, results / REPORT):
        if path.is_file():
            return predecessor_in(path, verification)
    return None
