"""Labels one prepared scan: at once, in strips, or on the GPU that runs the network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from medseg.infer.axis_map import AxisMap, Strip
from medseg.infer.decision import Decision
from medseg.infer.engines.base import Engine, EngineOfFeatures
from medseg.infer.labels_from_scores import LabelStream
from medseg.infer.outputs import Outputs
from medseg.infer.probability_stream import ProbabilityStream
from medseg.infer.sliding_window import Slab, WindowOptions, stream_scores
from medseg.infer.uncertainty import BoundaryEntropy
from medseg.prepare.prepared import Prepared
from medseg.types.prediction import ClassUncertainty

log = logging.getLogger("medseg.infer")


@dataclass(frozen=True, eq=False)
class Labeling:
    """What is fixed while one scan is labeled; `maps` lead from the network's grid without padding to the scan's.

    - `uncertainty_needed`: whether uncertainty along boundaries must be known, which labeling on the GPU does not give.
    """

    engine: Engine
    decision: Decision
    prepared: Prepared
    maps: tuple[AxisMap, ...]
    outputs: Outputs
    windows: WindowOptions
    boundaries: BoundaryEntropy
    uncertainty_needed: bool = False

    def run(self, parts: Sequence[Strip]) -> dict[int, ClassUncertainty]:
        """Fill in the results, all at once or strip by strip; return the uncertainty by label value."""
        agreement = getattr(self.engine, "agreement", None)
        if agreement is not None:
            agreement.reset()
        if len(parts) == 1:
            self._stream(None, 0)
        else:
            done = 0
            for part in parts:
                self._stream(part, max(0, done - part.network.start))
                done = part.network.stop
        entropies, dice = self.boundaries.by_value(), agreement.by_value() if agreement is not None else {}
        return {
            value: ClassUncertainty(entropies.get(value), dice.get(value))
            for value in self.decision.values[1:]
            if value in entropies or value in dice
        }

    def _stream(self, part: Strip | None, first_row: int) -> None:
        """Run the windows over all of the scan, or over one strip, whose rows before `first_row` were done before."""
        outputs, (x, y, z) = self.outputs, (before for before, _ in self.prepared.route.padding)
        maps = self.maps if part is None else (self.maps[0], part.axis_map, self.maps[2])
        offset = (x, y, z) if part is None else (x, 0, z)
        scan_rows = slice(None) if part is None else part.scan
        rows = None if part is None else slice(y + part.network.start, y + part.network.stop)
        target = outputs.boxed(outputs.labels)[:, scan_rows]
        if part is None and self._on_device(offset, target):
            return  # its scores never leave the GPU, so that uncertainty along boundaries is not known

        def watch(scores: npt.NDArray[np.float32], outcome: npt.NDArray[Any], first_plane: int) -> None:
            self.boundaries.add(scores, outcome, first_plane, first_row)

        boxed = [
            None if a is None else outputs.boxed(a)[..., scan_rows, :]
            for a in (outputs.probabilities, outputs.entropies)
        ]
        kept = None if outputs.only_labels else ProbabilityStream(maps, offset, self.decision, *boxed)
        labels = LabelStream(maps, offset, self.decision, target, watch)
        layer = getattr(self.engine, "output_layer", None)
        run = self.engine.run if layer is None else cast(EngineOfFeatures, self.engine).features
        planes = slice(z, z + self.prepared.route.size[2])
        for slab in stream_scores(
            self.prepared.array,
            run,
            self.decision.channels,
            self.windows,
            rows=rows,
            planes=planes,
            output_layer=layer,
        ):
            if self.decision.output != self.decision.interpolated:
                slab = Slab(self.decision.to_interpolate(slab.scores), slab.first)
            labels.add(slab)
            if kept is not None:
                kept.add(slab)
        assert labels.complete
        log.debug("The network's outputs were interpolated at %d voxels of the scan.", labels.interpolated)

    def _on_device(self, offset: tuple[int, int, int], out: npt.NDArray[Any]) -> bool:
        """Label on the GPU that runs the network; False where there is none, or scores do not fit on it."""
        if self.uncertainty_needed or not self.outputs.only_labels or not getattr(self.engine, "on_gpu", False):
            return False
        import torch

        from medseg.infer.engines.torch import TorchEngine
        from medseg.infer.on_device import label_on_device

        assert isinstance(self.engine, TorchEngine)
        try:
            label_on_device(self.prepared.array, self.engine, self.maps, offset, self.decision, out, self.windows)
        except torch.OutOfMemoryError:
            log.warning(
                "The network's outputs do not fit on the GPU, so they are blended in main memory, which is slower."
            )
            torch.cuda.empty_cache()
            self.windows.counter.reset()
            return False
        return True
