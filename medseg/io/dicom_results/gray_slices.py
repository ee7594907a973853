"""The slices of a source as gray levels, for images of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.io.dicom.frame import Frame, frames_of
from medseg.io.dicom.header import lenient, read_header
from medseg.io.dicom.pixels import read_pixels
from medseg.io.dicom_results.source import SourceSeries
from medseg.types import Source
from medseg.types.window import gray_levels, gray_window, sampled


@dataclass(frozen=True)
class GraySlices:
    """Slices that have one window, the one a preview of the same scan has."""

    frames: tuple[Frame, ...]
    window: tuple[float, float]

    @classmethod
    def from_source(cls, series: SourceSeries, source: Source) -> GraySlices:
        """Find the series' slices, and their window; a CT's needs no pixels."""
        with lenient():
            frames = [frame for path in source.files for frame in frames_of(read_header(path))]
        by_place = {(frame.sop_uid, frame.index): frame for frame in frames}
        indices = series.frames or (None,) * len(series.planes)
        ordered = tuple(by_place[series.instance_of(k).SOPInstanceUID, index] for k, index in enumerate(indices))
        modality = str(series.first.get("Modality") or "")
        places = [0] if modality == "CT" else sampled(len(ordered))  # all of a CT have the same
        sample = read_pixels([ordered[k] for k in places], source.files[0].parent).array
        return cls(ordered, gray_window(sample, modality))

    def levels(self, k: int) -> npt.NDArray[np.uint8]:
        """One slice as it is shown: (rows, columns), 0 black and 255 white."""
        frame = self.frames[k]
        values = read_pixels([frame], frame.file).array
        shown = gray_levels(values[:, :, 0].T, self.window)
        return 255 - shown if frame.header.get("PhotometricInterpretation") == "MONOCHROME1" else shown
