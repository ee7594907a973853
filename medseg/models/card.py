"""The model card: `model.yaml` of a package, everything about a trained model but its weights."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from medseg.config.strict import Strict, StrictFinite
from medseg.models.calibration_card import CalibrationCard
from medseg.models.card_checks import LARGEST_ARGUMENT, LARGEST_NUMBER, check_numbers, check_overlapping
from medseg.models.composite_card import COMPOSITE, CompositeCard
from medseg.models.interactive_card import OUTPUTS, InteractiveCard
from medseg.models.license_card import LicenseCard
from medseg.models.locate_card import LocateCard
from medseg.models.result_card import ResultCard
from medseg.models.training_card import TrainingCard
from medseg.models.validation_card import PrecisionCard, UncertaintyCard, ValidationCard
from medseg.models.volume_interval_card import VolumeIntervalCard
from medseg.prepare.card import InputCard
from medseg.types.labels import BORDER, Code, LabelClass, LabelTable
from medseg.types.series_criteria import SeriesCriteria

Byte = Annotated[int, Field(ge=0, le=255)]
MOST_MEMBERS = 100


class CodeCard(Strict):
    """A coded concept: value, scheme (``SCT`` for SNOMED CT) and meaning."""

    value: str = Field(description="value of the code")
    scheme: str = Field(default="SCT", description="coding scheme; SCT is SNOMED CT")
    meaning: str = Field(description="meaning of the code, in words")

    def to_code(self) -> Code:
        """Return it as the type that travels."""
        return Code(self.value, self.scheme, self.meaning)


class ClassCard(Strict):
    """One class the model knows."""

    value: Annotated[int, Field(ge=1, le=65535)] = Field(
        description="value of the class in label maps; 0 is background",
    )
    name: str = Field(min_length=1, description="name of the class, as results show it")
    category: CodeCard | None = Field(
        default=None, description="DICOM's segmented property category; null: Anatomical Structure"
    )
    code: CodeCard | None = Field(default=None, description="what the class is, as a rule in SNOMED CT")
    color: tuple[Byte, Byte, Byte] = Field(default=(255, 0, 0), description="for display: red, green, blue, 0 to 255")
    is_thing: bool = Field(default=False, description="whether the class consists of objects that can be counted")


class NetworkCard(Strict):
    """The network by its registered name, and the arguments that build it.

    Two names stand for networks that come whole, weights and all, in ``weights_file``: ``onnx`` and ``torchscript``.
    """

    name: str = Field(description="registered name")
    dimensions: Literal[2, 3] = Field(default=3, description="number of dimensions of the convolutions")
    arguments: dict[str, Any] = Field(
        default={},
        description="arguments that build the network; docs/reference lists them by network",
    )
    output: Literal["logits", "probabilities"] = Field(
        default="logits", description="probabilities where the network ends in softmax or sigmoid"
    )

    @field_validator("arguments")
    @classmethod
    def _possible(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        check_numbers(arguments, LARGEST_ARGUMENT)
        return arguments

    @property
    def is_whole(self) -> bool:
        """Whether the weights file holds the network too."""
        return self.name in ("onnx", "torchscript")


class LowResolutionCard(StrictFinite):
    """The model whose labels the network is shown beside the scan: the low-resolution stage of a cascade."""

    folder: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        default="low-resolution", description="folder of the low-resolution stage's package, inside this one"
    )
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(description="SHA-256 of the card of that package")
    labels: tuple[int, ...] = Field(
        description="values of its labels, each a further channel after the scan's: 1 where the stage finds it"
    )
    skip_beyond_mm: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="windows further than this from everything the low-resolution stage found are skipped; "
        "null skips none",
    )


class PostCard(Strict):
    """One post-processing step: a stage by name, and its options."""

    stage: str = Field(description="name of the stage")
    options: dict[str, Any] = Field(default={}, description="options of the stage")


class ModelCard(Strict):
    """Everything a user or a program must know to use a model."""

    format_version: Literal[2] = Field(default=2, description="version of the card's format")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        description="name of the model, as `--model` takes it"
    )
    version: Annotated[str, Field(max_length=100)] = Field(default="1", description="version of the model")
    title: str = Field(description="what the model segments, and in what, in one line")
    notice: str = Field(
        default="Research use only; not a medical device.", description="what every user must know before using it"
    )
    license: LicenseCard = Field(default=LicenseCard(), description="how the weights may be used")
    classes: tuple[ClassCard, ...] = Field(description="classes that the network distinguishes, besides background")
    regions: tuple[int, ...] | None = Field(
        default=None,
        description="for regions that may overlap: the class each output channel stands for, later ones on top; "
        "null where classes exclude each other and the largest output wins",
    )
    overlapping: bool = Field(
        default=False,
        description="whether results keep every region that a voxel is in, as classes that may share voxels; false "
        "folds regions into one map, later ones on top",
    )
    input: InputCard = Field(description="input of the network")
    low_resolution_stage: LowResolutionCard | None = Field(
        default=None, description="model of the low-resolution stage, on the card of a cascade's second stage"
    )
    locate: LocateCard | None = Field(
        default=None,
        description="how the network's regions are found in a scan larger than `input` describes; null: they are not",
    )
    composite: CompositeCard | None = Field(
        default=None, description="models that run as this one, whose network is then called `composite`; null: none"
    )
    network: NetworkCard = Field(description="the network, and the arguments that build it")
    interactive: InteractiveCard | None = Field(
        default=None,
        description="for a network that takes clicks: channels after the scan's, of a mask to correct and of what a "
        "reader marked; it has two outputs, background and the class in hand. null: it takes none",
    )
    interpolated: Literal["logits", "probabilities"] = Field(
        default="logits", description="what is interpolated back to the scan's grid"
    )
    ensemble_members: Annotated[int, Field(ge=1, le=MOST_MEMBERS)] = Field(
        default=1,
        description="number of networks whose outputs are averaged; names of their weights begin with 0., 1., ...",
    )
    post: tuple[PostCard, ...] = Field(default=(), description="post-processing steps, in order")
    training: TrainingCard = Field(description="where the weights come from")
    validation: ValidationCard | None = Field(
        default=None, description="what was measured on cases not trained on; null: nothing"
    )
    test: ValidationCard | None = Field(
        default=None, description="what was measured on the dataset's own test cases; null: it has none"
    )
    uncertainty: UncertaintyCard | None = Field(
        default=None, description="a case more uncertain than this gets a warning; null: not measured"
    )
    calibration: CalibrationCard | None = Field(
        default=None, description="temperature of the probabilities; null: they are as the network gives them"
    )
    volume_interval: VolumeIntervalCard | None = Field(
        default=None, description="how far volumes lie from those of references; null: not measured"
    )
    result: ResultCard | None = Field(
        default=None, description="what results on suitable scans look like; null: not stated"
    )
    mirror: Literal["none", "left-right", "all"] = Field(
        default="none",
        description="test-time mirroring where the user leaves it to the model",
    )
    overlap: Annotated[float, Field(ge=0, le=0.9)] | None = Field(
        default=None,
        description="sliding-window overlap where the user leaves it to the model; null: 0.5",
    )
    sums: Literal["float32", "float16"] = Field(
        default="float32",
        description="precision in which outputs of overlapping windows are summed; float16 is nnU-Net's, for labels "
        "that are to be those of its own code",
    )
    precisions: dict[Literal["bfloat16", "int8"], PrecisionCard] = Field(
        default={}, description="measured cost of lower precisions; one that costs little is used"
    )
    limits: tuple[str, ...] = Field(default=(), description="what the model is not for, a sentence each")
    weights_file: str = Field(default="weights.safetensors", description="name of the weights file, beside the card")
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of the weights file; of a composite, of those hashes of its parts"
    )

    @model_validator(mode="before")
    @classmethod
    def _possible(cls, values: Any) -> Any:
        """Refuse numbers that are infinite where computed with, wherever they stand."""
        check_numbers(values, LARGEST_NUMBER, allows_nan=True)
        return values

    @model_validator(mode="after")
    def _regions_are_classes(self) -> ModelCard:
        values = [c.value for c in self.classes]
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"two classes have the value {twice[0]}")
        names = [c.name for c in self.classes]
        if same := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two classes are called '{same[0]}'")
        if self.regions is not None and set(self.regions) != {c.value for c in self.classes}:
            raise ValueError("regions must name every class's value and no other")
        if self.overlapping:
            check_overlapping(self.regions, (step.stage for step in self.post), is_located=self.locate is not None)
        if (self.composite is None) != (self.network.name != COMPOSITE):
            raise ValueError("a card has the key composite if and only if its network is called composite")
        if self.composite is not None:
            missing = {v for part in self.composite.parts for v in part.values.values()} - set(values)
            if missing:
                raise ValueError(f"a part gives the value {min(missing)}, which no class has")
        if self.sums == "float16" and self.low_resolution_stage is not None:
            raise ValueError("sums in float16 are not for a cascade, some of whose windows are skipped")
        if self.interactive is not None and (self.regions, self.low_resolution_stage, self.composite) != (None,) * 3:
            raise ValueError("a network that takes clicks has no regions, low-resolution stage or parts")
        if self.network.is_whole and self.ensemble_members > 1:
            raise ValueError(
                "a network that comes whole (onnx, torchscript) cannot be an ensemble: ensemble_members must be 1"
            )
        return self

    @property
    def result_classes(self) -> tuple[ClassCard, ...]:
        """Classes that results have: all but a border between objects, which the post-processing uses up."""
        used_up = {step.options.get("border", BORDER) for step in self.post if step.stage == "border"}
        return tuple(entry for entry in self.classes if entry.name not in used_up)

    def series_criteria(self) -> SeriesCriteria:
        """What a DICOM series must be for this model; a larger scan is as good where its regions are found in that."""
        criteria = self.input.series_criteria()
        if self.locate is None or criteria.extent is None or criteria.spacing is None:
            return criteria
        return replace(
            criteria,
            extent=(criteria.extent[0], (math.inf,) * 3),
            spacing=(criteria.spacing[0], (max(self.locate.up_to_mm, *criteria.spacing[1]),) * 3),
        )

    @property
    def mean_dice(self) -> float | None:
        """Mean Dice over the classes that results have; None where it was not measured."""
        if self.validation is None or len(self.result_classes) == len(self.classes):
            return None if self.validation is None else self.validation.mean_dice
        dice = [self.validation.dice[c.name] for c in self.result_classes if c.name in self.validation.dice]
        measured = [value for value in dice if not math.isnan(value)]
        return sum(measured) / len(measured) if measured else None

    @property
    def channels(self) -> int:
        """Channels the network is given: the scan's, and those of a low-resolution stage or of interactions."""
        stage = 0 if self.low_resolution_stage is None else len(self.low_resolution_stage.labels)
        return len(self.input.channels) + stage + (0 if self.interactive is None else len(self.interactive.maps))

    @property
    def n_outputs(self) -> int:
        """Output channels of the network."""
        if self.interactive is not None:
            return OUTPUTS
        return len(self.classes) + 1 if self.regions is None else len(self.regions)

    @property
    def table(self) -> LabelTable:
        """The classes as the label table that travels with every result."""
        return LabelTable(
            tuple(
                LabelClass(
                    c.value,
                    c.name,
                    c.category.to_code() if c.category else None,
                    c.code.to_code() if c.code else None,
                    c.color,
                    c.is_thing,
                )
                for c in self.classes
            )
        )
