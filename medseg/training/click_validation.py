"""Measures a network that takes clicks: Dice after simulated clicks, by the path that the review takes."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_case
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.model import ClickModel
from medseg.infer.clicks.session import ClickSession, Present
from medseg.infer.clicks.simulate import next_click
from medseg.infer.options import InferOptions
from medseg.io.files.patient_names import public_name
from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage
from medseg.models.validation_card import ValidationCard
from medseg.training.interactive.start_masks import with_errors
from medseg.training.loop import Loop
from medseg.training.samples.inputs import Inputs
from medseg.training.selection.validate import CaseDice, dice
from medseg.training.time_left import seconds_a_pass

log = logging.getLogger("medseg.train")

Mask = npt.NDArray[np.bool_]
Start = Literal["corrected", "from_nothing"]
STARTS: tuple[Start, Start] = ("corrected", "from_nothing")
CLICKS = (0, 1, 3)


@dataclass(frozen=True)
class ClickDice:
    """Dice of each class of one case by where it started and the number of clicks; without classes that it lacks."""

    case_id: str
    dice: Mapping[Start, Mapping[str, Mapping[int, float]]]

    def to_case(self, names: Sequence[str]) -> CaseDice:
        """Return Dice after the most clicks of a mask with errors, NaN for classes the case lacks."""
        found = self.dice["corrected"]
        return CaseDice(self.case_id, {name: found[name][CLICKS[-1]] if name in found else math.nan for name in names})


def clicked(session: ClickSession, present: Mask, truth: Mask, ignored: Mask | None = None) -> dict[int, float]:
    """Return Dice after 0, 1 and 3 clicks, each in the middle of the largest error that is left."""
    found = {0: _dice(present, truth, ignored)}
    interactions: list[Interaction] = []
    for number in range(1, CLICKS[-1] + 1):
        click = next_click(present, truth, ignored)
        if click is not None:
            interactions.append(click)
            answer = session.answer(Present((0, 0, 0), present), interactions)
            present = present.copy()
            present[answer.box.slices] = answer.is_class
        found[number] = _dice(present, truth, ignored)
    return {number: found[number] for number in CLICKS}


def validate_clicks(
    package: ModelPackage, data: Dataset, cases: Sequence[DatasetCase], names: Mapping[str, str], *, device: str
) -> list[ClickDice]:
    """Simulate clicks on each class of each case; `names` has the card's name of each of the dataset's classes."""
    card = package.card.interactive
    model = ClickModel(package, InferOptions(device=device, engine="torch"))
    assert card is not None
    results = []
    for case in cases:
        scan, reference = read_case(data, case)
        session = ClickSession(model, scan)
        ignored = None if data.ignore_label is None else reference.array == data.ignore_label
        found: dict[Start, dict[str, dict[int, float]]] = {start: {} for start in STARTS}
        for entry in data.table:
            truth = np.isin(reference.array, data.reference_values(entry.value))
            if not case.annotates(entry.name) or not truth.any():
                continue
            random = np.random.default_rng(_number(case.case_id, entry.name))
            if card.objects:
                truth = _one_object(truth, random)
            for start in STARTS:
                present = with_errors(truth, random, card.radius) if start == "corrected" else np.zeros_like(truth)
                found[start][names[entry.name]] = clicked(session, present, truth, ignored)
        log.debug("%s: %s", public_name(case.case_id), found)
        results.append(ClickDice(case.case_id, found))
    return results


def with_click_validation(card: ModelCard, inputs: Inputs, results: Sequence[ClickDice]) -> ModelCard:
    """Return the card with Dice by number of clicks."""
    assert card.interactive is not None
    curves: dict[Start, dict[int, float]] = {}
    for start in STARTS:
        every = [by_clicks for one in results for by_clicks in one.dice[start].values()]
        if every:
            curves[start] = {n: round(mean(by_clicks[n] for by_clicks in every), 4) for n in CLICKS}
    names = [c.name for c in card.classes if any(c.name in one.dice["corrected"] for one in results)]
    if not names:
        return card
    corrected = [one.dice["corrected"] for one in results]
    by_class = {name: round(mean(found[name][CLICKS[-1]] for found in corrected if name in found), 4) for name in names}
    validation = ValidationCard(
        split=inputs.split.name,
        cases=len(results),
        dice=by_class,
        mean_dice=round(mean(by_class.values()), 4),
        notes=f"Dice after {CLICKS[-1]} simulated clicks, each in the middle of the largest error left, that correct a "
        "reference with simulated errors; on each scan's own grid, by the path that the review takes. The key "
        "`interactive` has Dice before them, and from nothing. The run itself chose nothing by these cases.",
    )
    measured = card.interactive.model_copy(update={"dice": curves})
    return card.model_copy(update={"validation": validation, "interactive": measured})


def click_validation_seconds(loop: Loop, took: float, held_out: int, classes: int) -> float:
    """Roughly how long `validate_clicks` will take, where a step takes `took` seconds."""
    # A click may look at a patch of coarser voxels too, and finding the largest error takes about as long as a pass.
    return 3.0 * seconds_a_pass(loop, took) * len(STARTS) * CLICKS[-1] * classes * held_out


def _one_object(truth: Mask, random: np.random.Generator) -> Mask:
    """One of the objects of a class, drawn at random."""
    numbered, count = label(truth)
    return np.asarray(numbered == random.integers(count) + 1)


def _dice(present: Mask, truth: Mask, ignored: Mask | None) -> float:
    counted: Any = slice(None) if ignored is None else ~ignored
    found = dice(present[counted], truth[counted])
    return 1.0 if math.isnan(found) else found


def _number(case_id: str, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{case_id}\n{name}".encode()).digest()[:8], "big")
