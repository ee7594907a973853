"""A review in Python: its cases, revisions and verdicts, and what was corrected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.config.arguments import check_arguments_of, listed
from medseg.review.store import Store, open_store


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
