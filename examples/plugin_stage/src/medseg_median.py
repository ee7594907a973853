"""A stage for medseg: takes the salt and pepper out of a scan before the network sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from medseg.types import Case, Scan
from medseg.types.stage import RunContext, Where

__all__ = ["Median"]


class Median:
    """Median filter of every channel."""

    class Options(BaseModel):
        """How strong."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        size: int = Field(default=3, ge=1, description="voxels along each axis; 1 does nothing")

    # It only reads, so it may filter the next case while this one is segmented. Without this line it runs in the main
    # thread, as the network does.
    runs: ClassVar[Where] = "ahead"

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Case, context: RunContext) -> Case:
        """Return the case with its scans filtered, on the same grids and from the same sources."""
        return replace(item, scans=tuple(self._filtered(scan) for scan in item.scans))

    def _filtered(self, scan: Scan) -> Scan:
        size = [min(self.options.size, n) for n in scan.geometry.shape]  # a 2D image has one voxel along z
        return scan.with_array(ndimage.median_filter(scan.array, size=(1, *size)), scan.geometry)
