"""Whether a fine-tuned model may take the place of the one it started from: on cases that neither was trained on."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from medseg.data.border_class import with_border
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.description import DatasetDescription
from medseg.data.layouts import read_dataset
from medseg.errors import MedsegError, UsageError
from medseg.io.files.atomic import write_text
from medseg.io.files.patient_names import public_name
from medseg.models.package import ModelPackage
from medseg.training.selection.validate import CaseDice, mean_dice, validate

log = logging.getLogger("medseg.train")

RECORD, PACKAGE, REFUSED = "promotion.json", "model", "refused"
FEWEST = 2  # cases, below which a mean has no standard error


class NotPromoted(MedsegError):
    """A fine-tuned model is worse on the old held-out cases than the model it started from."""

    exit_code = 3


@dataclass(frozen=True)
class Promotion:
    """Two models compared on the same cases.

    Parameters
    ----------
    cases : tuple of str
        Those that were compared.
    before, after : float
        Mean Dice of the model that was started from, and of the new one, over cases of the mean over classes.
    by_class : dict of str to tuple of float
        Mean Dice of both of each class.
    difference, standard_error : float
        Of the new model minus the old one, paired by case, and of that mean.
    is_promoted : bool
        Whether the difference is no lower than minus its standard error.
    """

    cases: tuple[str, ...]
    before: float
    after: float
    by_class: dict[str, tuple[float, float]]
    difference: float
    standard_error: float
    is_promoted: bool

    @property
    def sentence(self) -> str:
        """What came of it."""
        return (
            f"on {len(self.cases)} old held-out cases the mean Dice is {self.after:.4f}, and {self.before:.4f} for the "
            f"model it started from: a difference of {self.difference:+.4f}, standard error {self.standard_error:.4f}"
        )


@dataclass(frozen=True, eq=False)
class Gate:
    """The cases that a new model is compared on with the one it started from.

    `is_stated` says that a person named the dataset; otherwise it is the one trained on.
    """

    start: ModelPackage
    data: Dataset
    is_stated: bool

    def cases_for(self, package: ModelPackage) -> tuple[DatasetCase, ...]:
        """Cases that the start's card lists as held out and that the new model was not trained on either.

        Of a dataset that a person named, for a model whose card lists none, every case neither was trained on.
        """
        # Older cards list names as the dataset has them.
        listed = {public_name(name) for name in self.start.card.training.held_out}
        trained = set(package.card.training.trained_on)
        candidates = [case for case in self.data.labeled if public_name(case.case_id) not in trained]
        if listed or not self.is_stated:
            return tuple(case for case in candidates if public_name(case.case_id) in listed)
        return tuple(candidates)


def open_gate(
    start: ModelPackage, data: Dataset, held_out: Path | None, description: DatasetDescription | None = None
) -> Gate:
    """Return the gate of a run that starts from a model; known to have cases where a person named their dataset.

    Raises
    ------
    UsageError
        When the dataset named has fewer than two cases that the model held out.
    """
    if held_out is None:
        return Gate(start, data, is_stated=False)
    gate = Gate(start, read_dataset(held_out, description), is_stated=True)
    found = gate.cases_for(start)
    if len(found) < FEWEST:
        raise UsageError(
            f"it has {len(found)} labeled cases that {start.identity.name} held out, and {FEWEST} are the fewest to "
            "compare models on",
            where=f"--held-out {held_out}",
            fix="Give the dataset the model was trained on; its card names the cases held out.",
        )
    return gate


def promote(gate: Gate, package: ModelPackage, out: Path, *, device: str) -> ModelPackage:
    """Compare a new package with the one it started from; move it to ``out/refused`` where it is worse.

    Worse is a paired mean Dice lower by more than its standard error. Leaves ``promotion.json``; nothing where there
    are fewer than two cases that neither model was trained on.

    Raises
    ------
    NotPromoted
        When it is worse.
    """
    cases = gate.cases_for(package)
    (out / RECORD).unlink(missing_ok=True)
    if len(cases) < FEWEST:
        log.info("The model is not compared with %s: no old held-out cases are here.", gate.start.identity)
        return package
    if not gate.is_stated and not _common(gate.start, package):
        log.info("The model is not compared with %s, which has none of its classes.", gate.start.identity)
        return package
    log.info("Comparing with %s on %d old held-out cases.", gate.start.identity, len(cases))
    before, after = (
        list(validate(one, _with_border(gate.data, one), cases, device=device)) for one in (gate.start, package)
    )
    found = compare_paired(before, after)
    write_text(out / RECORD, json.dumps({**asdict(found), "started_from": str(gate.start.identity)}, indent=1) + "\n")
    if found.is_promoted:
        shutil.rmtree(out / REFUSED, ignore_errors=True)
        log.info("The model is promoted: %s.", found.sentence)
        return package
    shutil.rmtree(out / REFUSED, ignore_errors=True)
    package.folder.rename(out / REFUSED)
    raise NotPromoted(
        f"the model is not promoted: {found.sentence}",
        where=out / REFUSED,
        fix="Train longer or on more cases, correct the new labels, or use the model as it was.",
    )


def compare_paired(before: Sequence[CaseDice], after: Sequence[CaseDice]) -> Promotion:
    """Compare the Dice of two models on the same cases, in the same order, over the classes both have.

    A case counts by the mean of its classes, without those that neither reference nor prediction have; cases without
    any count nothing.
    """
    shared = [name for name in before[0].dice if name in after[0].dice]
    if not shared:
        raise UsageError("the two models have no class in common", fix="Start from a model of the same classes.")
    pairs = [(old.case_id, _mean(old, shared), _mean(new, shared)) for old, new in zip(before, after, strict=True)]
    pairs = [pair for pair in pairs if not math.isnan(pair[1]) and not math.isnan(pair[2])]
    if len(pairs) < FEWEST:
        raise UsageError("fewer than two of the old held-out cases have a Dice", fix="Give cases with references.")
    gaps = np.array([new - old for _, old, new in pairs])
    error = float(gaps.std(ddof=1) / math.sqrt(len(gaps)))
    classes = [mean_dice(results)[0] for results in (before, after)]
    return Promotion(
        tuple(case for case, _, _ in pairs),
        float(np.mean([old for _, old, _ in pairs])),
        float(np.mean([new for _, _, new in pairs])),
        {name: (classes[0][name], classes[1][name]) for name in shared},
        float(gaps.mean()),
        error,
        bool(gaps.mean() >= -error),
    )


def _with_border(data: Dataset, package: ModelPackage) -> Dataset:
    """Return the dataset as a model was trained on it: with the class between touching objects, where it has one."""
    border_mm = package.card.training.border_mm
    return data if border_mm is None or data.border_mm is not None else with_border(data, border_mm)


def _mean(result: CaseDice, names: Sequence[str]) -> float:
    known = [result.dice[name] for name in names if not math.isnan(result.dice[name])]
    return sum(known) / len(known) if known else math.nan


def _common(start: ModelPackage, package: ModelPackage) -> set[str]:
    """Names of classes that both models have."""
    return {c.name for c in start.card.classes} & {c.name for c in package.card.classes}
