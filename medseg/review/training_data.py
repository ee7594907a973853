"""Corrections of a review as what `medseg train` is given: exported beside the run, once for all its resumptions."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from medseg.counted import counted
from medseg.errors import InputError, UsageError
from medseg.io.files.review_folder import REVIEW, is_review
from medseg.models.weights_file import is_weights_file
from medseg.review.dataset_export import corrections
from medseg.review.dataset_files import DESCRIPTION, HELD_OUT

log = logging.getLogger("medseg.review")

CORRECTIONS, CHECKPOINT = "corrections", "checkpoint.pt"


def training_data(dataset: Path, out: Path, start: str | Path | None = None) -> Path:
    """Return the dataset to train on: `dataset` itself, or, of reviewed results, their corrections in `out`.

    Parameters
    ----------
    dataset : Path
        A dataset, or a folder of results with a review.
    out : Path
        Folder of the run; one that was begun keeps the corrections that it was begun with.
    start : str or Path, optional
        The model to start from. What its card lists as held out stays held out too.

    Raises
    ------
    UsageError
        When nothing was accepted with corrections.
    InputError
        When some of it cannot be exported.
    """
    if not is_review(dataset / REVIEW):
        return dataset
    place = out / CORRECTIONS
    is_begun = any(out.rglob(CHECKPOINT)) or "WORLD_SIZE" in os.environ
    if is_begun and (place / DESCRIPTION).is_file():
        log.info("Resuming on the corrections in %s; what was accepted since needs another --out.", place)
        return place
    package = None if start is None or is_weights_file(start) else start
    done = corrections(dataset, place, start=package)
    if done.failed:
        case, why = next(iter(done.failed.items()))
        raise InputError(
            f"{counted(len(done.failed), 'corrected case')} cannot be trained on, such as {case}: {why}",
            where=dataset,
            fix="To train without them, run `medseg review export` and give train the dataset that it writes.",
        )
    if not done.rows:
        raise UsageError(
            "nobody has accepted a case with corrections there",
            where=dataset,
            fix="Correct and accept cases in `medseg review` first.",
        )
    if all(row.split == HELD_OUT for row in done.rows):
        raise UsageError(
            "every corrected case is one that the model's card lists as held out, and such a case is not trained on",
            where=dataset,
            fix="Correct cases that are not on its list too, or start from another model: --from.",
        )
    log.info("Training on the corrections of %s, in %s.", counted(len(done.rows), "case"), place)
    return place
