"""Makes the package of a cross-validated run: trained on all cases, or an ensemble of the folds' models."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.config.safe_json import parse_json
from medseg.data.splits import Split
from medseg.infer.engines.onnx_export import ensure_export
from medseg.models.calibration_card import CalibrationCard
from medseg.models.card import ModelCard, PostCard
from medseg.models.package import ModelPackage, load_package, write_card, write_package
from medseg.models.validation_card import ValidationCard
from medseg.models.volume_interval_card import VolumeIntervalCard
from medseg.training.card import annotated_counts
from medseg.training.final_test import measure_test
from medseg.training.samples.cascade import LowResolutionRun
from medseg.training.samples.inputs import Inputs
from medseg.training.train import train_model
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")

Final = Literal["all", "ensemble"]
Ranges = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Claims:
    """What the folds of a cross-validation measured, for the card of the package made of all of them.

    Parameters
    ----------
    validation : ValidationCard
        Dice, and how it was measured.
    post : tuple of PostCard
        The clean-up they chose.
    volume_interval : VolumeIntervalCard, optional
        How far volumes lie from those of references.
    calibration : CalibrationCard, optional
        Temperature of the probabilities.
    """

    validation: ValidationCard
    post: tuple[PostCard, ...] = ()
    volume_interval: VolumeIntervalCard | None = None
    calibration: CalibrationCard | None = None

    def on(self, card: ModelCard) -> ModelCard:
        """Return the card with what was measured."""
        return card.model_copy(
            update={
                "validation": self.validation,
                "volume_interval": self.volume_interval,
                "calibration": self.calibration,
            }
        )


def final_package(run: TrainingRun, folds: Sequence[Path], kind: Final, claims: Claims) -> ModelPackage:
    """Make ``model/``: by one more training on all cases, or of the models in the folders of the folds' runs.

    An ensemble costs no training, and for each scan as much as there are folds. The card gets what the folds measured,
    and where the configuration has no post-processing the clean-up they chose.
    """
    if kind == "all":
        log.info("Training on all cases.")
        package = train_model(run.with_split(folds=1, fold=0).with_config(post=run.config.post or claims.post))
        if run.processes.is_first:
            package = write_card(package.folder, claims.on(package.card))
    elif run.processes.is_first:
        package = measured_on_test(run, _ensemble(run, folds), folds, claims)
        ensure_export(package, package.folder)
    run.processes.wait()
    return load_package(run.out / "model")


def measured_on_test(run: TrainingRun, package: ModelPackage, folds: Sequence[Path], claims: Claims) -> ModelPackage:
    """Put what the folds measured and chose on the card of an ensemble, and measure it on the dataset's test cases."""
    card = claims.on(package.card).model_copy(update={"post": package.card.post or claims.post})
    return measure_test(write_card(package.folder, card), _test_inputs(run, folds))[0]


def _test_inputs(run: TrainingRun, folds: Sequence[Path]) -> Inputs:
    """The test cases that the audit of the folds' runs left, as what one run is measured with."""
    split = parse_json((folds[0] / "split.json").read_text(encoding="utf-8"))
    return Inputs(run, Split(split["name"], (), (), tuple(split.get("test", ()))), (), {})


def _ensemble(run: TrainingRun, folds: Sequence[Path]) -> ModelPackage:
    """Write a package of the folds' models; in a cascade with the low-resolution stage's model of all cases."""
    packages = [load_package(fold / "model") for fold in folds]
    splits = [parse_json((fold / "split.json").read_text(encoding="utf-8")) for fold in folds]
    trained = {case for split in splits for case in split["train"]}
    cards = [package.card for package in packages]
    own = cards[0].training
    training = own.model_copy(
        update={
            "cases": len(trained),
            "annotated": annotated_counts(run, trained),
            "command": run.command,
            "duration": f"{len(folds)} models, each on the cases of the other folds; the first: {own.duration}",
            "held_out": (),
            "run": None,
            "trained_on": tuple(sorted({case for card in cards for case in card.training.trained_on})),
        }
    )
    card = cards[0].model_copy(
        update={
            "ensemble_members": len(folds),
            "input": cards[0].input.model_copy(update=_widest(cards)),
            "training": training,
            "validation": None,
            "precisions": {},
            "volume_interval": None,
            "calibration": None,
            "low_resolution_stage": None,
        }
    )
    folder = run.out / "model"
    if run.config.low_resolution_stage is not None:
        card = LowResolutionRun(Path(run.config.low_resolution_stage)).embed(card, folder, ())
    weights = {f"{k}.{name}": value for k, package in enumerate(packages) for name, value in package.weights().items()}
    return write_package(folder, card, weights)


def _widest(cards: Sequence[ModelCard]) -> dict[str, Ranges]:
    """Ranges of scans that include those of every ensemble member."""
    found: dict[str, Ranges] = {}
    for key in ("expected_extent_mm", "expected_spacing"):
        ranges = [value for card in cards if (value := getattr(card.input, key)) is not None]
        if ranges:
            low = tuple(min(column) for column in zip(*(r[0] for r in ranges), strict=True))
            high = tuple(max(column) for column in zip(*(r[1] for r in ranges), strict=True))
            found[key] = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    return found
