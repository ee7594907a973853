"""The model card of a training run: what was learned from which cases, and how well."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from medseg.counted import counted
from medseg.data.dataset import Dataset
from medseg.data.partial_labels import partly_annotated
from medseg.io.files.patient_names import public_name
from medseg.models.card import ClassCard, ModelCard, PostCard
from medseg.models.license import strictest
from medseg.models.license_card import LicenseCard, Use
from medseg.models.package import ModelPackage
from medseg.models.training_card import TrainingCard
from medseg.models.validation_card import ValidationCard
from medseg.prepare.acceptance import AcceptanceCard
from medseg.prepare.card import InputCard
from medseg.training.config import ClassConfig, PretrainedConfig, TrainConfig
from medseg.training.distributed import world
from medseg.training.measured_classes import as_limits, class_dice, untrained_classes
from medseg.training.result_volumes import result_volumes
from medseg.training.samples.inputs import Inputs
from medseg.training.samples.prepared import PreparedCase
from medseg.training.selection.held_out_volumes import volume_interval_card
from medseg.training.selection.uncertainty_limit import uncertainty_limits
from medseg.training.selection.validate import CaseDice, mean_pq
from medseg.training.training_run import TrainingRun
from medseg.types import LabelClass
from medseg.types.labels import BORDER
from medseg.versions import versions

# Until the weights are written; `write_package` puts the real one.
NO_HASH = "0" * 64
AXES = {"x": 0, "y": 1, "z": 2}
NOTICE = "Research use only; not a medical device."
VOLUME_QUANTILES = 21


def build_card(inputs: Inputs, seconds: float, steps: int, run_id: str | None = None) -> ModelCard:
    """Card of a model trained for so many seconds and steps, its validation left open; `run_id` is MLflow's."""
    data, config, cases = inputs.run.dataset, inputs.run.config, inputs.cases
    start = inputs.run.start
    claimed = config.license or data.license or "not stated by the dataset"
    classes = tuple(_class(c, config.classes.get(c.name), data) for c in data.table)
    untrained = untrained_classes(cases, {own.name: c.name for own, c in zip(data.table, classes, strict=True)})
    patches = config.sampling.batch * config.sampling.accumulate * world()
    return ModelCard(
        name=inputs.run.name,
        version=config.version,
        title=config.title or f"{', '.join(c.name for c in data.table)} ({data.name})",
        notice=NOTICE,
        license=LicenseCard(use=config.license_use if start is None else _use_after(config, start)),
        classes=classes,
        # A network that takes clicks has one class in hand, whatever else a voxel belongs to.
        regions=None if config.interactive else tuple(data.regions) or None,
        overlapping=data.overlapping and config.interactive is None,
        interactive=None if config.interactive is None else config.interactive.to_card(),
        input=_input(cases, config),
        network=config.network,
        mirror=config.mirror,
        post=_post(data, config),
        training=TrainingCard(
            data=_with_start(config.data or f"{data.name}. {data.description}".strip(), start, "data"),
            license=_with_start(_with_weights(claimed, config.pretrained), start, "license"),
            cases=len(cases),
            command=inputs.run.command,
            seed=config.seed,
            duration=_start(config) + f"{steps} steps of {patches} patches in {counted(round(seconds / 60), 'minute')}",
            software=versions(),
            held_out=tuple(public_name(name) for name in inputs.split.validation),
            trained_on=_trained_on(cases, start),
            untrained=untrained,
            border_mm=config.border_mm,
            run=run_id,
            parent=_weights_name(config.pretrained) if start is None else str(start.identity),
            annotated=annotated_counts(inputs.run, {case.case_id for case in cases}),
        ),
        limits=(
            *config.limits,
            *as_limits(untrained),
            *(() if start is None else (_of(start, limit) for limit in start.card.limits)),
        ),
        weights_sha256=NO_HASH,
    )


def annotated_counts(run: TrainingRun, trained: Container[str]) -> dict[str, int]:
    """Number of the cases trained on that annotate a class, by its name on the card, where these are not all."""
    cases = [case for case in run.dataset.labeled if case.case_id in trained]
    shown = {name: chosen.name or name for name, chosen in run.config.classes.items()}
    return {shown.get(name, name): count for name, count in partly_annotated(run.dataset, cases).items()}


def volume_quantiles(volumes_ml: Sequence[float]) -> tuple[float, ...]:
    """Volumes at 0, 5, 10, ... and 100% of the cases."""
    levels = np.linspace(0, 1, VOLUME_QUANTILES)
    return tuple(round(float(value), 3) for value in np.quantile(volumes_ml, levels))


def with_validation(card: ModelCard, inputs: Inputs, results: Sequence[CaseDice]) -> ModelCard:
    """Return the card with Dice on the held-out cases, and the range of volumes in the references trained on."""
    cases = inputs.cases
    by_class, overall = class_dice(results, card.training.untrained)
    volumes: dict[str, list[float]] = {}
    in_results = [result_volumes(inputs.run.dataset, case.facts.volumes_ml) for case in cases]
    for known, shown in zip(inputs.run.dataset.table, card.classes, strict=True):
        every = [case[known.name] for case in in_results if known.name in case]
        if every:
            volumes[shown.name] = every
    validation = ValidationCard(
        split=inputs.split.name,
        cases=len(results),
        dice=by_class,
        mean_dice=overall,
        pq=mean_pq(results),
        volume_range_ml={name: (round(min(every), 3), round(max(every), 3)) for name, every in volumes.items()},
        volume_quantiles_ml={name: volume_quantiles(every) for name, every in volumes.items()},
        notes="Mean over held-out cases of each class, then over classes. Measured by the path that predict takes, "
        f"on each scan's own grid, {_mirroring(card)}; the run itself chose nothing by these cases."
        + (" A class counts only in cases that annotate it." if partly_annotated(inputs.run.dataset) else ""),
    )
    uncertainty = uncertainty_limits([result.boundary_entropy for result in results])
    intervals = volume_interval_card([result.volumes for result in results], inputs.split.name)
    return card.model_copy(update={"validation": validation, "uncertainty": uncertainty, "volume_interval": intervals})


def _class(known: LabelClass, chosen: ClassConfig | None, data: Dataset) -> ClassCard:
    is_counted = data.border_mm is not None and known.name != BORDER
    if chosen is None:
        return ClassCard(value=known.value, name=known.name, color=known.color, is_thing=is_counted)
    return ClassCard(
        value=known.value,
        name=chosen.name or known.name,
        category=chosen.category,
        code=chosen.code,
        color=chosen.color or known.color,
        is_thing=chosen.is_thing or is_counted,
    )


def _post(data: Dataset, config: TrainConfig) -> tuple[PostCard, ...]:
    """The configured post-processing, with objects from borders first where a border class was trained."""
    if data.border_mm is None or any(step.stage == "border" for step in config.post):
        return config.post
    chosen = config.classes.get(BORDER)
    name = chosen.name if chosen and chosen.name else BORDER
    return (PostCard(stage="border", options={"border": name}), *config.post)


def _mirroring(card: ModelCard) -> str:
    return "without mirroring" if card.mirror == "none" else f"mirrored {card.mirror} as predict does by default"


def _trained_on(cases: Sequence[PreparedCase], start: ModelPackage | None) -> tuple[str, ...]:
    """Ids of the cases that the weights have seen, those of the package they started from included."""
    before = () if start is None else start.card.training.trained_on
    return tuple(sorted({*(public_name(case.case_id) for case in cases), *before}))


def _use_after(config: TrainConfig, start: ModelPackage) -> Use | None:
    """Weights that started from others may be used as far as both allow."""
    return strictest((config.license_use, start.card.license.use))


def _with_start(own: str, start: ModelPackage | None, claim: Literal["data", "license"]) -> str:
    """A claim of the dataset, and after it that of the package the weights started from."""
    if start is None:
        return own
    return (
        f"{own.rstrip('.')}. Its weights started from {start.identity}, {claim}: {getattr(start.card.training, claim)}"
    )


def _with_weights(own: str, weights: PretrainedConfig | None) -> str:
    """The license of the dataset, and after it that of the file of weights that training started from."""
    if weights is None:
        return own
    return f"{own.rstrip('.')}. Its weights started from {_weights_name(weights)}, license: {weights.license}"


def _weights_name(weights: PretrainedConfig | None) -> str:
    return "" if weights is None else f"{Path(weights.file).name} (sha256 {weights.sha256[:12]})"


def _of(start: ModelPackage, limit: str) -> str:
    return f"Of {start.identity}, from which its weights started: {limit}"


def _start(config: TrainConfig) -> str:
    start = config.start or (config.pretrained and config.pretrained.file)
    return f"from the weights of {Path(start).name}, " if start else ""


def _input(cases: Sequence[PreparedCase], config: TrainConfig) -> InputCard:
    """The input of the network, with the range of the scans it was trained on."""
    extents = [case.facts.extent_mm for case in cases]
    spacings = [case.facts.spacing for case in cases]
    accepts = config.input.accepts or AcceptanceCard()
    return config.input.model_copy(
        update={
            "accepts": accepts.model_copy(update={"dimensions": accepts.dimensions or _dimensions(cases)}),
            "expected_extent_mm": _range(extents),
            "expected_spacing": _range(spacings),
            "mirror_axes": tuple(sorted(AXES[axis] for axis in config.augment.flip)),
            "mirror_sides": config.plan.axes is not None,
        }
    )


def _dimensions(cases: Sequence[PreparedCase]) -> Literal[2, 3] | None:
    """Whether the scans are 2D images, or volumes; None where there are both."""
    flat = {
        any(round(mm / step) == 1 for mm, step in zip(case.facts.extent_mm, case.facts.spacing, strict=True))
        for case in cases
    }
    return None if len(flat) > 1 else 2 if flat == {True} else 3


def _range(
    rows: Sequence[tuple[float, float, float]],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    low, high = (tuple(round(pick(column), 4) for column in zip(*rows, strict=True)) for pick in (min, max))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
