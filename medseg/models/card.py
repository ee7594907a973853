"""The model card: `model.yaml` of a package, everything about a trained model but its weights."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.prepare.card import InputCard
from medseg.types.labels import Code, LabelClass, LabelTable


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeCard(_Strict):
    """A coded concept: value, scheme (``SCT`` for SNOMED CT) and meaning."""

    value: str = Field(description="of the code")
    scheme: str = Field(default="SCT", description="coding scheme; SCT is SNOMED CT")
    meaning: str = Field(description="of the code, in words")

    def to_code(self) -> Code:
        """Return it as the type that travels."""
        return Code(self.value, self.scheme, self.meaning)


class ClassCard(_Strict):
    """One class the model knows."""

    value: Annotated[int, Field(ge=1, le=65535)]
    name: str
    category: CodeCard | None = None
    code: CodeCard | None = None
    color: tuple[int, int, int] = (255, 0, 0)
    is_thing: bool = False


class NetworkCard(_Strict):
    """The network by its registered name, and the arguments that build it.

    Two names stand for networks that come whole, weights and all, in ``weights_file``: ``onnx`` and ``torchscript``.
    """

    name: str = Field(description="registered name")
    dimensions: Literal[2, 3] = Field(default=3, description="of its convolutions")
    arguments: dict[str, Any] = Field(default={}, description="that build it; docs/reference lists them by network")
    output: Literal["logits", "probabilities"] = Field(
        default="logits", description="probabilities where the network ends in softmax or sigmoid"
    )

    @property
    def is_whole(self) -> bool:
        """Whether the weights file holds the network too."""
        return self.name in ("onnx", "torchscript")


class LowResolutionCard(_Strict):
    """The model whose labels the network is shown beside the scan: the low-resolution stage of a cascade."""

    folder: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "low-resolution"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(description="of that package's card")
    labels: tuple[int, ...] = Field(
        description="each is a channel after the scan's: 1 where the low-resolution stage has it"
    )
    skip_beyond_mm: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="windows further than that from all the low-resolution stage found are skipped; null: none is",
    )


class PostCard(_Strict):
    """One post-processing step: a stage by name, and its options."""

    stage: str = Field(description="name of the stage")
    options: dict[str, Any] = Field(default={}, description="of the stage")


class TrainingCard(_Strict):
    """Where the weights come from."""

    data: str
    license: str
    cases: int
    command: str
    seed: int | None = Field(description="null: not known")
    duration: str = ""
    software: dict[str, str] = {}
    held_out: tuple[str, ...] = Field(default=(), description="case ids not trained on, used for `validation`")
    border_mm: float | None = Field(
        default=None, description="width of the class `border` that was made of numbered objects; null without one"
    )


class ValidationCard(_Strict):
    """What was measured on cases the weights were not trained on."""

    split: str
    cases: int
    dice: dict[str, float] = Field(description="class name to mean Dice over cases")
    mean_dice: float
    volume_range_ml: dict[str, tuple[float, float]] = Field(
        default={}, description="class name to smallest and largest volume in the training references"
    )
    notes: str = ""


class UncertaintyCard(_Strict):
    """How uncertain the network is on ordinary cases, measured on cases it was not trained on."""

    boundary_entropy: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        description="class name to the largest ordinary mean entropy along its boundary"
    )
    cases: Annotated[int, Field(ge=1)]


class PrecisionCard(_Strict):
    """What a lower precision than float32 costs, as `medseg models optimize` measured it."""

    dice_drop: dict[str, float] = Field(description="class name to mean Dice in float32 less that in this precision")
    cases: Annotated[int, Field(ge=1)]
    held_out: bool | None = Field(
        default=None, description="whether the weights were not trained on them; null: not known"
    )
    agreement: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="smallest fraction, over cases, of voxels with the label that float32 gives"
    )
    engine: str = Field(default="", description="what computed both")
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        default={}, description="files beside the card that hold the network in this precision, and their SHA-256"
    )

    @model_validator(mode="after")
    def _files_lie_beside_the_card(self) -> PrecisionCard:
        if any(PurePath(name).name != name or "\\" in name for name in self.files):
            raise ValueError("files must be plain names inside the package")
        return self


class ModelCard(_Strict):
    """Everything a user or a program must know to use a model."""

    format_version: Literal[2] = 2
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    version: str = "1"
    title: str
    notice: str = "Research use only; not a medical device."
    classes: tuple[ClassCard, ...]
    regions: tuple[int, ...] | None = Field(
        default=None,
        description="for regions that may overlap: the class each output channel stands for, later ones on top; "
        "null where classes exclude each other and the largest output wins",
    )
    input: InputCard
    low_resolution_stage: LowResolutionCard | None = Field(
        default=None, description="for the second stage of a cascade"
    )
    network: NetworkCard
    interpolated: Literal["logits", "probabilities"] = Field(
        default="logits", description="what is interpolated back to the scan's grid"
    )
    ensemble_members: Annotated[int, Field(ge=1)] = Field(
        default=1,
        description="number of networks whose outputs are averaged; names of their weights begin with 0., 1., ...",
    )
    post: tuple[PostCard, ...] = Field(default=(), description="post-processing steps, in order")
    training: TrainingCard
    validation: ValidationCard | None = None
    uncertainty: UncertaintyCard | None = Field(
        default=None, description="a case more uncertain than this gets a warning; null: not measured"
    )
    mirror: Literal["none", "left-right", "all"] = Field(
        default="none",
        description="test-time mirroring where the user leaves it to the model",
    )
    precisions: dict[Literal["bfloat16", "int8"], PrecisionCard] = Field(
        default={}, description="measured cost of lower precisions; one that costs little is used"
    )
    limits: tuple[str, ...] = ()
    weights_file: str = "weights.safetensors"
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _regions_are_classes(self) -> ModelCard:
        if self.regions is not None and set(self.regions) != {c.value for c in self.classes}:
            raise ValueError("regions must name every class's value and no other")
        if self.network.is_whole and self.ensemble_members > 1:
            raise ValueError(
                "a network that comes whole (onnx, torchscript) cannot be an ensemble: ensemble_members must be 1"
            )
        return self

    @property
    def channels(self) -> int:
        """Channels the network is given: the scan's and, in a cascade, those of the low-resolution stage."""
        return len(self.input.channels) + (len(self.low_resolution_stage.labels) if self.low_resolution_stage else 0)

    @property
    def scores(self) -> int:
        """Output channels of the network."""
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
