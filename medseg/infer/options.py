"""How a model is run: choices that belong to the user, not to the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medseg.config.bounds import DEVICE, Device, MoreThan0, Overlap
from medseg.config.strict import Strict

EngineName = Literal["auto", "torch", "openvino", "onnx"]
PrecisionName = Literal["auto", "float32", "bfloat16", "int8"]
Mirror = Literal["auto", "none", "left-right", "all"]


class InferOptions(Strict):
    """How a model is run."""

    device: Device = Field(
        default="auto", description="auto, cpu, cuda or cuda:N", json_schema_extra={"pattern": f"^({DEVICE})$"}
    )
    engine: EngineName = Field(default="auto", description="inference engine")
    precision: PrecisionName = Field(
        default="auto",
        description="auto takes the fastest precision whose measured cost on the model card is negligible",
    )
    compiled: bool = Field(default=False, description="have PyTorch compile the network; takes a minute at first")
    overlap: Overlap | None = Field(
        default=None,
        description="sliding-window overlap, as a fraction of the window; null takes the model card's, 0.5 where that "
        "has none",
    )
    larger_windows: bool = Field(
        default=False,
        description="cover a scan by windows larger than those the network was trained with, one if it is small, where "
        "that is cheaper and the network can",
    )
    mirror: Mirror = Field(
        default="auto",
        description="average over mirrored copies of each window; auto takes the model card's choice",
    )
    skip_beyond: Annotated[float, Field(ge=0)] | Literal["auto", "none"] = Field(
        default="auto",
        description="in a cascade, mm: windows further than this from everything the low-resolution stage "
        "found are skipped; "
        "none runs every window, auto takes the model card's distance",
    )
    regions: Literal["auto", "fold", "keep"] = Field(
        default="auto",
        description="of a model of regions: keep every region that a voxel is in, as classes that may share voxels, or "
        "fold them into one map, later ones on top; auto does what the model card's `overlapping` says",
    )
    memory_gb: MoreThan0 | None = Field(
        default=None, description="memory a case may take, in GB of 1e9 bytes; null: what is free"
    )
    probabilities: bool = Field(default=False, description="also return every class's probability for every voxel")
    entropy: bool = Field(default=False, description="also return the entropy of every voxel")
