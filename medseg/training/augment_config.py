"""How patches are changed at random before a network learns from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medseg.config.strict import Strict

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Range = tuple[float, float]
Axis = Literal["x", "y", "z"]


class AugmentConfig(Strict):
    """Augmentations of each patch: nnU-Net's (Isensee 2021, supplement 4), shifts, bending, thinning, colors.

    A value between 0 and 1 is the probability of its kind, unless it says otherwise.
    """

    rotation: Fraction = Field(default=0.2, description="probability of a rotation")
    rotation_degrees: float = Field(
        default=30.0, ge=0.0, le=180.0, description="largest angle about each axis, degrees"
    )
    scaling: Fraction = Field(default=0.2, description="probability of a change of size")
    scaling_range: Range = Field(default=(0.7, 1.4), description="smallest and largest factor of size")
    translation: Fraction = Field(default=0.0, description="probability of a shift")
    translation_fraction: Fraction = Field(
        default=0.1,
        description="largest shift along each axis, as a fraction of the patch",
    )
    elastic: Fraction = Field(default=0.0, description="probability of an elastic deformation")
    elastic_mm: Range = Field(default=(1.0, 3.0), description="largest displacement of a control point")
    elastic_spacing: float = Field(default=16.0, gt=0.0, description="mm between control points")
    flip: tuple[Axis, ...] = Field(
        default=(), description="axes mirrored with probability 0.5; none along which a class is left or right"
    )
    atrophy: Fraction = Field(
        default=0.0, description="probability that objects are thinned on one side, with dark fluid in the place"
    )
    atrophy_mm: Range = Field(default=(0.0, 3.0), description="by how much objects are thinned")
    atrophy_fluid_mm: Range = Field(default=(0.0, 6.0), description="how far fluid reaches beyond where objects ended")
    soft_labels: bool = Field(
        default=False,
        description="learn the fraction of each class in a voxel after interpolation, which keeps boundaries finer "
        "than voxels, not the class of the largest fraction; up to 8 classes",
    )
    noise: Fraction = Field(default=0.1, description="probability of Gaussian noise")
    noise_variance: Range = Field(
        default=(0.0, 0.1), description="smallest and largest variance, in normalized intensities"
    )
    blur: Fraction = Field(default=0.2, description="probability of Gaussian blur")
    blur_sigma: Range = Field(default=(0.5, 1.0), description="smallest and largest standard deviation, voxels")
    brightness: Fraction = Field(default=0.15, description="probability of a change of brightness")
    brightness_range: Range = Field(default=(0.75, 1.25), description="smallest and largest factor")
    contrast: Fraction = Field(default=0.15, description="probability of a change of contrast")
    contrast_range: Range = Field(default=(0.75, 1.25), description="smallest and largest factor")
    low_resolution: Fraction = Field(default=0.25, description="probability of downsampling and upsampling again")
    low_resolution_zoom: Range = Field(default=(0.5, 1.0), description="smallest and largest factor of size")
    gamma: Fraction = Field(default=0.3, description="probability of a gamma change")
    gamma_inverted: Fraction = Field(default=0.1, description="probability of a gamma change of inverted intensities")
    gamma_range: Range = Field(default=(0.7, 1.5), description="smallest and largest exponent")
    invert: Fraction = Field(
        default=0.0,
        description="probability of inverting intensities; for data with both stained and fluorescence images",
    )
    gray: Fraction = Field(default=0.0, description="probability that every channel becomes the same random mix of all")
    color: Fraction = Field(default=0.0, description="probability of scaling and shifting each channel at random")
    color_scale: Range = Field(default=(0.6, 1.4), description="smallest and largest factor of a channel")
    color_shift: Range = Field(
        default=(-0.3, 0.3),
        description="smallest and largest shift of a channel, in normalized intensities",
    )
