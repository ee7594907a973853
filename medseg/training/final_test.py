"""Measures a finished model on the dataset's own test cases, which nothing before has looked at."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage, write_card
from medseg.models.validation_card import ValidationCard
from medseg.training.measured_classes import class_dice
from medseg.training.samples.inputs import Inputs
from medseg.training.selection.validate import CaseDice, mean_dice, mean_pq, validate, write_validation

log = logging.getLogger("medseg.train")


def measure_test(package: ModelPackage, inputs: Inputs) -> tuple[ModelPackage, list[CaseDice]]:
    """Write Dice of the test cases to ``test.csv`` and on the card; nothing where the dataset has none."""
    run = inputs.run
    if not inputs.test:
        return package, []
    log.info("Measuring the dataset's %d test cases.", len(inputs.test))
    results = list(validate(package, run.dataset, inputs.test, device=str(run.device)))
    write_validation(run.out / "test.csv", results)
    card = with_test(package.card, results)
    by_class, overall = mean_dice(results)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in by_class.items())
    log.info("Mean Dice of the test cases is %.4f (%s).", overall, shown)
    return write_card(package.folder, card), results


def with_test(card: ModelCard, results: Sequence[CaseDice]) -> ModelCard:
    """Return the card with what the test cases gave."""
    by_class, overall = class_dice(results, card.training.untrained)
    test = ValidationCard(
        split="test cases, as the dataset gives them",
        cases=len(results),
        dice=by_class,
        mean_dice=overall,
        pq=mean_pq(results),
        notes="Measured when all else was done: no case of these was trained on, and nothing was chosen by them.",
    )
    return card.model_copy(update={"test": test})
