"""What the network is given, as the model card gives it: channels, orientation, spacing, normalization."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from medseg.config.bounds import VoxelSpacing
from medseg.config.strict import StrictFinite
from medseg.prepare.acceptance import AcceptanceCard
from medseg.types.series_criteria import SeriesCriteria

Length = Annotated[float, Field(ge=0)]  # mm
Triple = tuple[Length, Length, Length]
Spacing = VoxelSpacing | None
LARGEST_PATCH = 4096  # along one axis
LARGEST_PATCH_VOXELS = 1 << 30
SMALLEST_RANGE = 1e-20  # of intensities; divided by it, none is infinite in 32 bits


class NormalizationCard(StrictFinite):
    """How intensities are brought to the network's range, channel by channel.

    ``zscore`` subtracts the mean and divides by the standard deviation of the scan itself; ``clip_zscore`` (nnU-Net's
    CT scheme) clips to ``lower`` and ``upper`` and uses the training set's ``mean`` and ``std``; ``rescale`` maps
    ``lower`` and ``upper`` to the two numbers of ``to``; ``range`` does so with the scan's own extremes, and
    ``percentiles`` with its percentiles ``lower`` and ``upper``; ``none`` changes nothing.
    """

    scheme: Literal["zscore", "clip_zscore", "rescale", "range", "percentiles", "none"] = Field(
        default="zscore", description="how intensities are scaled"
    )
    nonzero_only: bool = Field(
        default=False, description="confine zscore to voxels that are not 0 in every channel; others stay"
    )
    fill_holes: bool = Field(
        default=True,
        description="nonzero_only takes in what such voxels enclose (nnU-Net); false: each channel's own that are not "
        "0 (MONAI)",
    )
    to: tuple[float, float] = Field(default=(0.0, 1.0), description="values that lower and upper become")
    clip: bool = Field(default=False, description="clip values to lower and upper")
    lower: float | None = Field(default=None, description="lower intensity, or percentile")
    upper: float | None = Field(default=None, description="upper intensity, or percentile")
    mean: float | None = Field(default=None, description="mean of the training data, for clip_zscore")
    std: float | None = Field(default=None, description="standard deviation of the training data, for clip_zscore")

    @model_validator(mode="after")
    def _complete(self) -> NormalizationCard:
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
        if self.scheme in ("rescale", "clip_zscore") and not (self.upper or 0) - (self.lower or 0) >= SMALLEST_RANGE:
            raise ValueError(f"upper must be more than lower, by {SMALLEST_RANGE:g} or more")
        if self.scheme == "clip_zscore" and not (self.std or 0) >= SMALLEST_RANGE:
            raise ValueError(f"std must be {SMALLEST_RANGE:g} or more")
        return self


class ResamplingCard(StrictFinite):
    """How intensities are brought to the network's spacing. Logits always come back linearly.

    Where slices are more than three times as far apart as pixels, each slice is resampled on its own and the nearest
    slice is taken (nnU-Net's rule); ``separate_slices`` forces that or forbids it.
    """

    order: Literal[1, 3] = Field(default=3, description="1 linear, 3 cubic B-spline")
    separate_slices: bool | None = Field(
        default=None, description="resample slice by slice; null decides by the spacing"
    )
    aligned: Literal["edges", "centers"] = Field(
        default="edges",
        description="edges: the outer edges of both grids coincide, spacing is adjusted (nnU-Net, scikit-image); "
        "centers: their first voxels' centers do, and the spacing is exact (MONAI)",
    )

    @model_validator(mode="after")
    def _possible(self) -> ResamplingCard:
        if self.aligned == "centers" and self.separate_slices is not False:
            raise ValueError("aligned: centers goes with separate_slices: false")
        return self


class ForegroundCard(StrictFinite):
    """Intensities inside the references of the training data, as stored in the files."""

    low: float = Field(description="0.5th percentile")
    high: float = Field(description="99.5th percentile")


class ChannelCard(StrictFinite):
    """One input channel."""

    name: str = Field(description="name of the channel")
    modality: str | None = Field(default=None, description="DICOM's modality, such as CT or MR")
    values: Literal["HU", "SUV"] | None = Field(
        default=None, description="what intensities must be: Hounsfield units or SUV; null: any"
    )
    normalization: NormalizationCard = Field(
        default=NormalizationCard(), description="how intensities are brought to the network's range"
    )
    foreground: ForegroundCard | None = Field(
        default=None, description="intensities inside the training references; null: not known"
    )


class InputCard(StrictFinite):
    """What the network is given."""

    channels: tuple[ChannelCard, ...] = Field(description="one for each scan that the network takes together")
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
    resampling: ResamplingCard = Field(
        default=ResamplingCard(),
        description="how intensities are brought to that spacing; logits always come back linearly",
    )
    mirror_axes: tuple[Literal[0, 1, 2], ...] | None = Field(
        default=None, description="axes mirrored in training, so that mirroring at test time is sound; null: unknown"
    )
    mirror_sides: bool = Field(
        default=False,
        description="whether they are sound although classes have a side by their names, as plan.mirror said",
    )
    patch: tuple[int, int, int] = Field(description="voxels along x, y, z; 1 along z for a 2D network")
    crop_to_nonzero: bool = Field(default=False, description="show the network only the box of voxels that are not 0")
    crop_above: float | None = Field(
        default=None, description="show the network only the box of voxels above this in some channel"
    )
    normalize_after_resampling: bool = Field(default=False, description="MONAI's usual order; nnU-Net's is before")
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
    accepts: AcceptanceCard | None = Field(
        default=None, description="what a scan must be for this model; others are withheld. null: not stated"
    )

    def series_criteria(self) -> SeriesCriteria:
        """What a DICOM series must be for this network, to choose among those of a study."""
        return SeriesCriteria(
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
        if max(self.patch) > LARGEST_PATCH:
            raise ValueError(f"patch sizes must be {LARGEST_PATCH} or less")
        if math.prod(self.patch) > LARGEST_PATCH_VOXELS:
            raise ValueError(f"a patch must have {LARGEST_PATCH_VOXELS:,} voxels or fewer")
        if not self.channels:
            raise ValueError("there must be at least one channel")
        for name, limits in (
            ("expected_extent_mm", self.expected_extent_mm),
            ("expected_spacing", self.expected_spacing),
        ):
            if limits is not None and any(low > high for low, high in zip(*limits, strict=True)):
                raise ValueError(f"{name}: the smallest must not be larger than the largest")
        return self
