"""Which of the cases measured a model was trained on, as its card says and `medseg predict` leaves it in `run.json`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.evaluation.files.label_files import plain_name
from medseg.evaluation.files.pairing import CasePair
from medseg.io.files.patient_names import hidden_name

log = logging.getLogger("medseg.evaluate")

# The column of groups that sets them apart, and its two values.
COLUMN = "use in training"
TRAINED, NEW = "trained on", "not trained on"


def with_training(pairs: Sequence[CasePair], predictions: Path) -> tuple[CasePair, ...]:
    """Put each case in a group by whether the model that made the predictions was trained on it; say so in the log.

    Cases are recognized by name. Nothing changes where none was trained on, or that is not known.
    """
    known = {plain_name(name) for name in _trained_on(predictions)}
    trained = {pair.case_id for pair in pairs if known & {n for name in _names(pair) for n in _known_as(name)}}
    if not trained:
        return tuple(pairs)
    log.warning(
        "Of %s, %d %s of one that the model was trained on; such figures say nothing about new scans, and are reported "
        "apart.",
        counted(len(pairs), "case"),
        len(trained),
        "has the name" if len(trained) == 1 else "have the name",
    )
    return tuple(
        replace(
            pair,
            row=replace(pair.row, groups={**pair.row.groups, COLUMN: TRAINED if pair.case_id in trained else NEW}),
        )
        for pair in pairs
    )


def _known_as(name: str) -> tuple[str, str]:
    """A name as a card has it, or as one has it that was registered with a server, without names."""
    return plain_name(name), plain_name(hidden_name(name))


def _names(pair: CasePair) -> tuple[str, ...]:
    return (pair.case_id, *pair.prediction.names, *pair.reference.names)


def batch_folder(predictions: Path) -> Path:
    """Return the folder of a batch: the predictions' own, or the one that the case of a single file lies in."""
    return predictions if predictions.is_dir() else predictions.parent.parent


def _trained_on(predictions: Path) -> list[str]:
    """Case ids in the `run.json` of a batch's folder."""
    try:
        found = parse_json((batch_folder(predictions) / "run.json").read_text(encoding="utf-8")).get("trained_on")
    except (OSError, ValueError, AttributeError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []
