"""What scans a model is given at all, as its card states it; the gate withholds others before the network runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from medseg.config.strict import StrictFinite

Factor = Annotated[float, Field(ge=1)] | None
Range = tuple[float, float] | None


class AcceptanceCard(StrictFinite):
    """What a scan must be for this model; a key that is null or empty is not checked."""

    purpose: str = Field(default="", description="what to give the model, to complete `Give ...`")
    dimensions: Literal[2, 3] | None = Field(
        default=None, description="2 for 2D images, 3 for volumes, as the scans of the training data are"
    )
    laterality: tuple[Literal["L", "R", "B"], ...] = Field(
        default=(), description="DICOM's Laterality of suitable series, where they state one; empty: any"
    )
    extent_factor: Factor = Field(
        default=None, description="how far the field of view may lie beyond `expected_extent_mm` along any axis"
    )
    spacing_factor: Factor = Field(
        default=None, description="how far the spacing may lie above `expected_spacing` along any axis"
    )
    brightness_gray: Range = Field(
        default=None,
        description="smallest and largest median intensity of gray scans in the training data, where 0 is their 0.5th "
        "and 1 their 99.5th percentile",
    )
    brightness_color: Range = Field(default=None, description="likewise, of color images")

    channels_agree: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="least correlation of the two channels that agree most in a color image of the training data",
    )
    edges: float | None = Field(
        default=None,
        description="least excess kurtosis of the differences of pixels 2 or 4 apart in a 2D image of the "
        "training data; 0 where an image has no edges",
    )

    @model_validator(mode="after")
    def _rising(self) -> AcceptanceCard:
        for limits in (self.brightness_gray, self.brightness_color):
            if limits is not None and limits[0] > limits[1]:
                raise ValueError("the first number of a range must not be larger than the second")
        return self
