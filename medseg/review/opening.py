"""Opens the review of a folder of results, for the command line and in Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.config.arguments import check_arguments_of, listed
from medseg.errors import InputError, UsageError
from medseg.io.files.review_folder import DATABASE, REVIEW, has_lost_its_trail, is_review
from medseg.review.results import Results
from medseg.review.scan_finder import ScanFinder
from medseg.review.store import Store


def open_store(folder: Path, *, create: bool = False, scans: Sequence[Path] = (), check: bool = True) -> Store:
    """Open the review of a folder of results.

    Parameters
    ----------
    folder : Path
        The ``--out`` of `medseg predict`.
    create : bool
        Whether to begin a review where there is none.
    scans : sequence of Path
        Where the scans are, if they were moved since.
    check : bool
        Whether to refuse an audit trail that is not as it was written; `Store.verify` says where it is not.

    Raises
    ------
    UsageError
        When there is no such folder, or no review in it and none is to be begun, or no results to begin one with.
    InputError
        When the audit trail is not as it was written, or gone while labels that it was about are there.
    """
    results, place = Results(folder), folder / REVIEW
    if has_lost_its_trail(place):
        raise InputError(
            "labels that people saved are there, and the audit trail that says whose they are is gone or empty",
            where=place / DATABASE,
            fix=f"Restore it from a backup; to begin anew, first move the folder {REVIEW} elsewhere.",
        )
    if not is_review(place):
        if not create:
            raise UsageError(
                "nothing was reviewed there yet", where=folder, fix=f"Begin with `medseg review {folder}`."
            )
        check_cases(results)  # before anything is left in a folder that holds none
    return Store(results, place, ScanFinder(folder, scans), check=check)


def check_cases(results: Results) -> None:
    """Raise `UsageError` where a folder holds no results."""
    if not results.cases():
        raise UsageError(
            "no case has labels to review",
            where=results.folder,
            fix="Give the --out of `medseg predict`, not its parent.",
        )


@check_arguments_of("medseg.review.open")
def open_review(folder: Path | str, *, scans: Sequence[Path | str] | Path | str = ()) -> Store:
    """Open the review of a folder of results.

    Parameters
    ----------
    folder : path
        The ``--out`` of `medseg predict`, reviewed with `medseg review`.
    scans : path or sequence of path
        Where the scans are, if they were moved since.

    Returns
    -------
    Store
        `cases`, `case`, `labels`, `corrections`, `events` and `verify`; close it, or use it in a ``with`` statement.

    Raises
    ------
    UsageError
        When nothing was reviewed there yet.
    InputError
        When the audit trail is not as it was written.
    """
    return open_store(Path(folder), scans=[Path(path) for path in listed(scans)])
