"""The model card: `model.yaml` of a package, everything about a trained model but its weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.types.labels import Code, LabelClass, LabelTable

__all__ = [
    "CodeCard",
    "InputCard",
    "ModelCard",
    "NetworkCard",
    "NormalisationCard",
    "TrainingCard",
    "ValidationCard",
]

Triple = tuple[float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeCard(_Strict):
    """A coded concept: value, scheme (``SCT`` for SNOMED CT) and meaning."""

    value: str
    scheme: str = "SCT"
    meaning: str

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


class NormalisationCard(_Strict):
    """How intensities are brought to the network's range, channel by channel.

    ``zscore`` subtracts the mean and divides by the standard deviation of the scan itself; ``clip_zscore`` (nnU-Net's
    CT scheme) clips to ``lower`` and ``upper`` and uses the training set's ``mean`` and ``std``; ``rescale`` maps
    ``lower`` to 0 and ``upper`` to 1; ``none`` changes nothing.
    """

    scheme: Literal["zscore", "clip_zscore", "rescale", "none"] = "zscore"
    lower: float | None = None
    upper: float | None = None
    mean: float | None = None
    std: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> NormalisationCard:
        needed = {
            "zscore": (),
            "none": (),
            "rescale": ("lower", "upper"),
            "clip_zscore": ("lower", "upper", "mean", "std"),
        }
        missing = [key for key in needed[self.scheme] if getattr(self, key) is None]
        if missing:
            raise ValueError(f"scheme {self.scheme} needs {', '.join(missing)}")
        return self


class ChannelCard(_Strict):
    """One input channel."""

    name: str
    modality: str | None = None
    normalisation: NormalisationCard = NormalisationCard()


class InputCard(_Strict):
    """What the network is given."""

    channels: tuple[ChannelCard, ...]
    spacing: Triple | None = Field(
        default=None, description="mm along x, y, z after orientation to RAS; null keeps each scan's own."
    )
    patch: tuple[int, int, int] = Field(description="voxels along x, y, z; 1 along z for a 2D network")
    crop_to_nonzero: bool = False
    expected_extent_mm: tuple[Triple, Triple] | None = Field(
        default=None, description="smallest and largest field of view in the training data, mm"
    )
    expected_spacing: tuple[Triple, Triple] | None = Field(
        default=None, description="smallest and largest spacing in the training data, mm"
    )


class NetworkCard(_Strict):
    """The network by its registered name, and the arguments that build it."""

    name: str
    dimensions: Literal[2, 3] = 3
    arguments: dict[str, Any] = {}


class TrainingCard(_Strict):
    """Where the weights come from."""

    data: str
    licence: str
    cases: int
    command: str
    seed: int
    duration: str = ""
    software: dict[str, str] = {}
    held_out: tuple[str, ...] = Field(default=(), description="case ids not trained on, used for `validation`")


class ValidationCard(_Strict):
    """What was measured on cases the weights have not seen."""

    split: str
    cases: int
    dice: dict[str, float] = Field(description="class name to mean Dice over cases")
    mean_dice: float
    volume_range_ml: dict[str, tuple[float, float]] = Field(
        default={}, description="class name to smallest and largest volume in the training references"
    )
    notes: str = ""


class ModelCard(_Strict):
    """Everything a user or a program must know to use a model."""

    format_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    version: str = "1"
    title: str
    notice: str = "Research use only; not a medical device."
    classes: tuple[ClassCard, ...]
    input: InputCard
    network: NetworkCard
    training: TrainingCard
    validation: ValidationCard | None = None
    limits: tuple[str, ...] = ()
    weights_file: str = "weights.safetensors"
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

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
