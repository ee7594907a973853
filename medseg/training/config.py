"""Everything that decides what a training run does, checked before any data is read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from medseg.config.bounds import Seed
from medseg.config.strict import Strict
from medseg.data.description import DatasetDescription
from medseg.models.card import CodeCard, NetworkCard, PostCard
from medseg.models.interactive_card import MAPS
from medseg.models.license_card import Use
from medseg.prepare.card import InputCard
from medseg.training.augment_config import AugmentConfig, Axis, Fraction
from medseg.training.interactive_config import InteractiveConfig


class ClassConfig(Strict):
    """What the model card says of a class, besides the dataset's value and name."""

    name: str | None = Field(default=None, description="null keeps the dataset's")
    category: CodeCard | None = Field(default=None, description="DICOM's segmented property category")
    code: CodeCard | None = Field(default=None, description="DICOM's segmented property type, SNOMED CT as a rule")
    color: tuple[int, int, int] | None = Field(
        default=None, description="red, green and blue, 0 to 255; null takes one of the palette"
    )
    is_thing: bool = Field(default=False, description="whether the class consists of objects that can be counted")


class PlanConfig(Strict):
    """What a person says to the plan, where the dataset does not settle it."""

    mirror: Literal["auto"] | tuple[Axis, ...] = Field(
        default="auto",
        description="axes of the network that patches are mirrored along; auto: those of the preset along which no "
        "class is left or right, by names or in the labels",
    )

    @property
    def axes(self) -> tuple[Axis, ...] | None:
        """Axes that a person gave; None where the dataset decides."""
        return None if self.mirror == "auto" else self.mirror


class FineTuningConfig(Strict):
    """What of a dataset is what of the package to fine-tune, where their names differ."""

    classes: dict[str, str] = Field(
        default={},
        description="class of the dataset to class of the package, whose output it starts from; classes of one name, "
        "the dataset's or that in `classes`, need none, and others start at random",
    )
    channels: dict[str, str] = Field(
        default={}, description="channel of the dataset to channel of the package in the same place"
    )


class PretrainedConfig(Strict):
    """Weights from a file that is no model package, to start from: ``--from FILE``."""

    file: str = Field(
        default="", description="file of weights: nnssl's ResEncL (OpenMind), or SuPreM's SegResNet; --from gives it"
    )
    license: Annotated[str, Field(min_length=1)] = Field(
        description="license of the weights, as their authors state it; the file does not say, and the card must"
    )
    sha256: str = Field(default="", description="hash of the file; written by the run that reads it")


class SplitConfig(Strict):
    """Which cases are held out. A dataset that has its own split for every case is split that way instead."""

    folds: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="null: 5 in a cross-validation; for one model as many as hold out about 20 cases, 5 to 10",
    )
    fold: Annotated[int, Field(ge=0)] = Field(default=0, description="number of the fold held out, from 0")
    seed: Seed = Field(default=0, description="seed of the shuffling before the split into folds")
    group: str = Field(
        default="auto",
        description="what keeps cases of one patient on one side: auto goes by the common part of their names where "
        "the dataset does not say; none; or a regular expression that finds the patient in a case's name",
    )

    @field_validator("group")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is not a regular expression ({error})") from error
        return value


class SamplingConfig(Strict):
    """The patches of one training step."""

    batch: Annotated[int, Field(ge=1)] = Field(default=2, description="patches that go through the network together")
    accumulate: Annotated[int, Field(ge=1)] = Field(
        default=1,
        description="batches whose gradients a step sums, where memory does not hold them at once",
    )
    foreground: Fraction = Field(default=0.33, description="fraction of patches centered on a voxel of a class")
    balance_polarity: bool = Field(
        default=False,
        description="as many patches of cases whose classes are brighter than the background as of those where they "
        "are darker, such as nuclei in fluorescence and in stained tissue",
    )


class LossConfig(Strict):
    """Dice and cross-entropy, summed with these weights at each resolution of deep supervision.

    Losses of structures are added at full resolution; docs/how-to/choose-losses.md says what each is for.
    """

    dice: float = Field(default=1.0, ge=0.0, description="weight of the Dice loss")
    cross_entropy: float = Field(default=1.0, ge=0.0, description="weight of the cross-entropy")
    batch_dice: bool = Field(default=True, description="one Dice over the whole batch, not one for each patch")
    cldice: float = Field(
        default=0.0, ge=0.0, description="weight of soft clDice, for tubes that must stay connected (Shit et al. 2021)"
    )
    cldice_iterations: Annotated[int, Field(ge=1)] = Field(
        default=3, description="erosions of its soft skeletons: half the width of the thickest tube, in voxels"
    )
    skeleton_recall: float = Field(
        default=0.0,
        ge=0.0,
        description="weight of the recall of each class's thickened skeleton, for thin structures (Kirchhoff et al. "
        "2024)",
    )
    blob: float = Field(
        default=0.0,
        ge=0.0,
        description="weight of the blob loss, for which every connected component counts the same (Kofler et al. 2022)",
    )
    boundary: float = Field(
        default=0.0,
        ge=0.0,
        description="weight of the boundary loss, which counts voxels by their distance to the boundary (Kervadec et "
        "al. 2019); 0.01 is usual",
    )
    contact: float = Field(
        default=0.0,
        ge=0.0,
        description="with `border_mm`: how many times more the border counts where objects touch (Ronneberger et al. "
        "2015)",
    )


class OptimizerConfig(Strict):
    """How weights are updated."""

    name: Literal["adamw", "sgd", "muon"] = Field(
        default="adamw", description="adamw, sgd, or muon for matrices with AdamW for the rest"
    )
    learning_rate: float = Field(
        default=2e-3, gt=0.0, description="muon uses it for matrices, and a tenth of it for the rest"
    )
    weight_decay: float = Field(default=1e-2, ge=0.0, description="decoupled, times the learning rate")
    momentum: Fraction = Field(default=0.99, description="SGD only, Nesterov")
    schedule: Literal["cosine", "polynomial"] = Field(default="cosine", description="how the learning rate falls to 0")
    warm_up: Fraction = Field(default=0.05, description="fraction of the run over which the learning rate rises from 0")
    clip: float = Field(default=12.0, gt=0.0, description="largest norm of the gradient")


class TrainConfig(Strict):
    """One training run.

    A run ends after ``epochs``, or when ``time_budget`` seconds have gone by, whichever comes first; the learning rate
    follows the one that is nearer its end.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] | None = Field(
        default=None, description="name of the model package; null takes the dataset's"
    )
    version: str = Field(default="1", description="version of the model package")
    title: str = Field(
        default="",
        description="one line for the card: structures, modality, resolution; empty names classes and dataset",
    )
    dataset: DatasetDescription | None = Field(
        default=None, description="channels and classes that a folder of DICOM or of paired files does not name itself"
    )
    classes: dict[str, ClassConfig] = Field(
        default={},
        description="settings of classes, by the dataset's name of the class",
    )
    limits: tuple[str, ...] = Field(
        default=(), description="for the card: what the model is not for; those of a package it starts from are added"
    )
    data: str = Field(
        default="", description="where the data comes from, for the card; empty takes the dataset's description"
    )
    license: str = Field(default="", description="license of data and weights, for the card; empty takes the dataset's")
    license_use: Use | None = Field(
        default=None, description="how the weights may be used, for the card's `license.use`; null: not stated"
    )

    border_mm: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="for references that number objects: learn a class for the border of each, this wide in "
        "mm, and split "
        "touching objects by it",
    )
    mirror: Literal["none", "left-right", "all"] = Field(
        default="none",
        description="for the card: average over mirrored copies in prediction and validation, unless an option differs",
    )
    post: tuple[PostCard, ...] = Field(default=(), description="for the card: clean-up and objects, in order")

    input: InputCard
    network: NetworkCard
    plan: PlanConfig = PlanConfig()
    split: SplitConfig = SplitConfig()
    sampling: SamplingConfig = SamplingConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    ema_decay: Fraction = Field(
        default=0.999, description="decay of the running average of weights that is validated and kept; 0 turns it off"
    )

    low_resolution_stage: str | None = Field(
        default=None,
        description="folder of a cross-validated run whose labels are channels beside the scan: a cascade",
    )
    interactive: InteractiveConfig | None = Field(
        default=None,
        description="train a network that takes clicks and scribbles for review; null: one that takes none",
    )
    start: str | None = Field(default=None, description="name or path of a model package to fine-tune")
    fine_tuning: FineTuningConfig = FineTuningConfig()
    pretrained: PretrainedConfig | None = Field(
        default=None, description="weights of others to start from, where they are no model package"
    )
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="number of epochs; null: time_budget ends the run"
    )
    iterations_per_epoch: Annotated[int, Field(ge=1)] = Field(default=100, description="steps of an epoch")
    time_budget: Annotated[float, Field(gt=0)] | None = Field(default=None, description="training time in seconds")
    checkpoint_every: Annotated[float, Field(gt=0)] = Field(default=300.0, description="seconds between checkpoints")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto",
        description="auto is bf16 where the CPU multiplies it in hardware, fp16 on older GPUs, fp32 elsewhere",
    )
    tracking: bool = Field(default=True, description="record the run with MLflow")
    tracking_figures: bool = Field(
        default=False, description="record figures of the worst cases too; they show patients, wherever MLflow is"
    )
    seed: Seed = Field(default=0, description="seed of everything drawn at random")

    @model_validator(mode="after")
    def _bounded(self) -> TrainConfig:
        if self.epochs is None and self.time_budget is None:
            raise ValueError("set epochs or time_budget: the run has no end")
        if self.loss.dice + self.loss.cross_entropy <= 0:
            raise ValueError("loss.dice and loss.cross_entropy must not both be 0")
        if self.loss.contact and self.border_mm is None:
            raise ValueError("loss.contact needs the border that border_mm draws: set border_mm, or loss.contact to 0")
        if self.interactive is not None:
            self._check_interactive()
        if self.start is not None and self.pretrained is not None:
            raise ValueError("start and pretrained exclude each other: a network starts from one of them")
        return self

    def _check_interactive(self) -> None:
        """Refuse what a network of one class in hand cannot be combined with."""
        others = {
            "border_mm": self.border_mm is not None,
            "low_resolution_stage": self.low_resolution_stage is not None,
            "augment.soft_labels": self.augment.soft_labels,
            "post": bool(self.post),
            "pretrained": self.pretrained is not None,
        }
        for key, is_set in others.items():
            if is_set:
                raise ValueError(f"interactive and {key} exclude each other: omit one")

    @property
    def map_channels(self) -> int:
        """Channels of a network that takes clicks, beside the scan's."""
        return 0 if self.interactive is None else len(MAPS)

    def as_parameters(self) -> dict[str, Any]:
        """Every value under its dotted name, as MLflow records them."""
        return dict(_flatten("", self.model_dump(mode="json")))


def _flatten(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [pair for key, inner in value.items() for pair in _flatten(f"{prefix}.{key}" if prefix else key, inner)]
    return [(prefix, value)]
