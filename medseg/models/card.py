"""The model card: `model.yaml` of a package, everything about a trained model but its weights."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.types.labels import Code, LabelClass, LabelTable
from medseg.types.wanted import SeriesWanted

__all__ = [
    "CodeCard",
    "DoubtCard",
    "FirstPassCard",
    "ForegroundCard",
    "InputCard",
    "ModelCard",
    "NetworkCard",
    "NormalisationCard",
    "PrecisionCard",
    "ResamplingCard",
    "TrainingCard",
    "ValidationCard",
]

Triple = tuple[float, float, float]
Spacing = Annotated[float, Field(gt=0)] | None


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
    ``lower`` and ``upper`` to the two numbers of ``to``; ``range`` does so with the scan's own extremes, and
    ``percentiles`` with its percentiles ``lower`` and ``upper``; ``none`` changes nothing.
    """

    scheme: Literal["zscore", "clip_zscore", "rescale", "range", "percentiles", "none"] = "zscore"
    nonzero_only: bool = Field(
        default=False, description="confine zscore to voxels that are not 0 in every channel; others stay"
    )
    fill_holes: bool = Field(
        default=True,
        description="nonzero_only takes in what such voxels enclose (nnU-Net); false: each channel's own that are not "
        "0 (MONAI)",
    )
    to: tuple[float, float] = Field(default=(0.0, 1.0), description="what lower and upper become")
    clip: bool = Field(default=False, description="move what lies beyond lower and upper to them")
    lower: float | None = None
    upper: float | None = None
    mean: float | None = None
    std: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> NormalisationCard:
        needed = {
            "zscore": (),
            "range": (),
            "none": (),
            "rescale": ("lower", "upper"),
            "percentiles": ("lower", "upper"),
            "clip_zscore": ("lower", "upper", "mean", "std"),
        }
        missing = [key for key in needed[self.scheme] if getattr(self, key) is None]
        if missing:
            raise ValueError(f"scheme {self.scheme} needs {', '.join(missing)}")
        if self.nonzero_only and self.scheme != "zscore":
            raise ValueError("nonzero_only belongs to the scheme zscore")
        if self.scheme == "percentiles" and not 0 <= (self.lower or 0) < (self.upper or 0) <= 100:
            raise ValueError("percentiles must rise and lie between 0 and 100")
        return self


class ResamplingCard(_Strict):
    """How intensities are brought to the network's spacing. Scores always come back linearly.

    Where slices are more than three times as far apart as pixels, each slice is resampled on its own and the nearest
    slice is taken (nnU-Net's rule); ``separate_slices`` forces that or forbids it.
    """

    order: Literal[1, 3] = Field(default=3, description="1 linear, 3 cubic B-spline")
    separate_slices: bool | None = None
    aligned: Literal["edges", "centres"] = Field(
        default="edges",
        description="edges: the outer edges of both grids coincide, spacing gives way (nnU-Net, scikit-image); "
        "centres: their first voxels' centres do, and the spacing is exact (MONAI)",
    )

    @model_validator(mode="after")
    def _possible(self) -> ResamplingCard:
        if self.aligned == "centres" and self.separate_slices is not False:
            raise ValueError("aligned: centres goes with separate_slices: false")
        return self


class ForegroundCard(_Strict):
    """Intensities inside the references of the training data, as stored in the files."""

    low: float = Field(description="0.5th percentile")
    high: float = Field(description="99.5th percentile")


class ChannelCard(_Strict):
    """One input channel."""

    name: str
    modality: str | None = None
    normalisation: NormalisationCard = NormalisationCard()
    foreground: ForegroundCard | None = Field(default=None, description="null: not known")


class InputCard(_Strict):
    """What the network is given."""

    channels: tuple[ChannelCard, ...]
    orientation: Annotated[str, Field(pattern=r"^([RLAPSI]{3}|stored)$")] = Field(
        default="RAS",
        description="where the axes point, such as RAS or LPS, or `stored`: as the file stores them, for networks "
        "trained without regard to it",
    )
    axis_order: tuple[int, int, int] = Field(
        default=(0, 1, 2), description="axis i of the network is this axis of the oriented scan"
    )
    spacing: tuple[Spacing, Spacing, Spacing] | None = Field(
        default=None, description="mm along the network's x, y, z; null, for all or one, keeps each scan's own."
    )
    resampling: ResamplingCard = ResamplingCard()
    mirror_axes: tuple[Literal[0, 1, 2], ...] | None = Field(
        default=None, description="axes mirrored in training, so that mirroring at test time is sound; null: unknown"
    )
    patch: tuple[int, int, int] = Field(description="voxels along x, y, z; 1 along z for a 2D network")
    crop_to_nonzero: bool = False
    crop_above: float | None = Field(
        default=None, description="show the network only the box of voxels above this in some channel"
    )
    normalise_after_resampling: bool = Field(default=False, description="MONAI's usual order; nnU-Net's is before")
    expected_extent_mm: tuple[Triple, Triple] | None = Field(
        default=None, description="smallest and largest field of view in the training data, mm"
    )
    expected_spacing: tuple[Triple, Triple] | None = Field(
        default=None, description="smallest and largest spacing in the training data, mm"
    )

    body_parts: tuple[str, ...] = Field(
        default=(), description="DICOM's Body Part Examined of suitable series; empty: any"
    )
    contrast: bool | None = Field(default=None, description="whether contrast medium must, or must not, be given")

    def wanted(self) -> SeriesWanted:
        """What a DICOM series must be for this network, to choose among those of a study."""
        return SeriesWanted(
            tuple(dict.fromkeys(channel.modality for channel in self.channels if channel.modality)),
            self.body_parts,
            self.contrast,
            self.expected_spacing,
            self.expected_extent_mm,
        )

    @model_validator(mode="after")
    def _possible(self) -> InputCard:
        if sorted(self.axis_order) != [0, 1, 2]:
            raise ValueError("axis_order must hold 0, 1 and 2 once each")
        if self.orientation != "stored" and not all(set(pair) & set(self.orientation) for pair in ("RL", "AP", "SI")):
            raise ValueError("orientation must name each of the three axes once")
        if self.crop_to_nonzero and self.crop_above is not None:
            raise ValueError("crop_to_nonzero and crop_above exclude each other")
        if min(self.patch) < 1:
            raise ValueError("patch sizes must be 1 or more")
        if not self.channels:
            raise ValueError("there must be at least one channel")
        return self


class NetworkCard(_Strict):
    """The network by its registered name, and the arguments that build it.

    Two names stand for networks that come whole, weights and all, in ``weights_file``: ``onnx`` and ``torchscript``.
    """

    name: str
    dimensions: Literal[2, 3] = 3
    arguments: dict[str, Any] = {}
    output: Literal["scores", "probabilities"] = Field(
        default="scores", description="probabilities where the network ends in softmax or sigmoid"
    )

    @property
    def is_whole(self) -> bool:
        """Whether the weights file holds the network too."""
        return self.name in ("onnx", "torchscript")


class FirstPassCard(_Strict):
    """The model whose labels the network is shown beside the scan: the first pass of a cascade."""

    folder: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "first-pass"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(description="of that package's card")
    labels: tuple[int, ...] = Field(description="each is a channel after the scan's: 1 where the first pass has it")
    skip_beyond_mm: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="windows further than that from all the first pass found are left out; null: every window is run",
    )


class PostCard(_Strict):
    """One step of what is made of the labels: a stage of the post room by name, and its options."""

    stage: str
    options: dict[str, Any] = {}


class TrainingCard(_Strict):
    """Where the weights come from."""

    data: str
    licence: str
    cases: int
    command: str
    seed: int | None = Field(description="null where it is not known")
    duration: str = ""
    software: dict[str, str] = {}
    held_out: tuple[str, ...] = Field(default=(), description="case ids not trained on, used for `validation`")
    border_mm: float | None = Field(
        default=None, description="width of the class `border` that was made of numbered objects; null without one"
    )


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


class DoubtCard(_Strict):
    """How undecided the network is where it works as it should, measured on cases it was not trained on."""

    border_entropy: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        description="class name to the largest ordinary mean entropy along its border"
    )
    cases: Annotated[int, Field(ge=1)]


class PrecisionCard(_Strict):
    """What a lower precision than float32 costs, as `medseg models optimise` measured it."""

    dice_drop: dict[str, float] = Field(description="class name to mean Dice in float32 less that in this precision")
    cases: Annotated[int, Field(ge=1)]
    held_out: bool | None = Field(default=None, description="whether the weights have not seen them; null: not known")
    agreement: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="smallest share, over cases, of voxels with the label that float32 gives"
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

    format_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    version: str = "1"
    title: str
    notice: str = "Research use only; not a medical device."
    classes: tuple[ClassCard, ...]
    regions: tuple[int, ...] | None = Field(
        default=None,
        description="for scores of regions that may overlap: the class each score stands for, later ones on top; "
        "null where classes exclude each other and the largest score wins",
    )
    input: InputCard
    first_pass: FirstPassCard | None = Field(default=None, description="for the second stage of a cascade")
    network: NetworkCard
    interpolated: Literal["scores", "probabilities"] = Field(
        default="scores", description="what is brought back to the scan's grid: probabilities where training's way did"
    )
    members: Annotated[int, Field(ge=1)] = Field(
        default=1, description="networks whose scores are averaged; names of their weights begin with 0., 1., ..."
    )
    post: tuple[PostCard, ...] = Field(default=(), description="clean-up and objects, in order")
    training: TrainingCard
    validation: ValidationCard | None = None
    doubt: DoubtCard | None = Field(
        default=None, description="a case more undecided than this is remarked on; null: not measured"
    )
    mirror: Literal["none", "left-right", "all"] = Field(
        default="none",
        description="average over mirrored copies of each window where the user leaves that to the model",
    )
    precisions: dict[Literal["bfloat16", "int8"], PrecisionCard] = Field(
        default={}, description="what lower precisions were measured to cost; one that costs little is used"
    )
    limits: tuple[str, ...] = ()
    weights_file: str = "weights.safetensors"
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _regions_are_classes(self) -> ModelCard:
        if self.regions is not None and set(self.regions) != {c.value for c in self.classes}:
            raise ValueError("regions must name every class's value and no other")
        if self.network.is_whole and self.members > 1:
            raise ValueError("a network that comes whole has one member")
        return self

    @property
    def channels(self) -> int:
        """Channels the network is given: the scan's and, in a cascade, those of the first pass."""
        return len(self.input.channels) + (len(self.first_pass.labels) if self.first_pass else 0)

    @property
    def scores(self) -> int:
        """Scores the network gives for each voxel."""
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
