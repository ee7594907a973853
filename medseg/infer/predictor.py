"""From a scan to its labels, with one model loaded once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.axis_map import AxisMap, Strip, strips
from medseg.infer.decision import Decision
from medseg.infer.engines.base import Engine
from medseg.infer.engines.select import ProgressCallback, choose_engine
from medseg.infer.expectations import out_of_distribution, out_of_distribution_intensities
from medseg.infer.labels_from_scores import LabelStream
from medseg.infer.memory import Need, available_bytes, predict_need, strips_that_fit
from medseg.infer.options import InferOptions
from medseg.infer.outputs import Outputs
from medseg.infer.probability_stream import ProbabilityStream
from medseg.infer.skipped_windows import FarFromLowResolution, Skip
from medseg.infer.sliding_window import Slab, WindowOptions, stream_scores
from medseg.infer.uncertainty import BoundaryEntropy
from medseg.io.files.scratch import Scratch
from medseg.models.package import ModelPackage
from medseg.prepare.gray_to_rgb import in_color
from medseg.prepare.labels import LowResolutionStage
from medseg.prepare.prepared import Prepared, check_channels, prepare
from medseg.prepare.route import Route, plan_route
from medseg.types import LabelMap, PostStep, Prediction, Scan
from medseg.types.extent import extent_unit
from medseg.types.how_computed import HowComputed
from medseg.types.prediction import ClassUncertainty

# Windows shown to the network at a time: on a CPU more are no faster.
BATCH = 1
# Fraction of the free memory that one case may be predicted to take.
MEMORY_FRACTION = 0.9

log = logging.getLogger("medseg.infer")


@dataclass(frozen=True, eq=False)
class _Case:
    """What is fixed while one scan is labeled; `maps` lead from the network's grid without padding to the scan's."""

    prepared: Prepared
    maps: tuple[AxisMap, ...]
    outputs: Outputs
    windows: WindowOptions
    boundaries: BoundaryEntropy


class Predictor:
    """Segments scans with one model package, whose network is built and weights are read once.

    - `engine`: what computes the network; chosen by the options where not given.
    - `progress`: called with what takes long and is done once for a model.
    """

    def __init__(
        self,
        package: ModelPackage,
        options: InferOptions | None = None,
        *,
        engine: Engine | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        self.package = package
        self.options = options or InferOptions()
        if engine is not None:
            self.engine, self.computed = engine, HowComputed(engine.name, why="given as an argument")
        else:
            chosen = choose_engine(package, self.options, progress)
            self.engine = chosen.engine
            self.computed = HowComputed(chosen.program, chosen.device, chosen.precision, chosen.why)
        first = package.low_resolution_stage
        own = self.options.model_copy(update={"probabilities": False, "entropy": False})
        self.low_resolution_stage = None if first is None else Predictor(first, own, progress=progress)
        self.decision = Decision.from_card(package.card)
        self.mirror, self._mirror_notes = self._mirror_axes()
        log.info("model %s on %s", package.identity, self.engine.name)

    def segment(self, scan: Scan, scratch: Scratch | None = None) -> Prediction:
        """Label every voxel of a scan on its own grid.

        Everything that depends on numbers happens after the scan's axes are brought to the model's orientation, so the
        order and direction in which a file stores its axes do not change the result. Probabilities and entropies, if
        requested, are kept in `scratch`, in memory without it.
        """
        card = self.package.card.input
        scan, color_notes = in_color(scan, card)
        check_channels(scan, card)
        route = plan_route(scan, card)
        maps = tuple(
            AxisMap.between(size, target, nearest=axis == route.separate_back, step=None if step is None else 1 / step)
            for axis, (size, target, step) in enumerate(zip(route.size, route.box.shape, route.steps, strict=True))
        )
        scratch = scratch or Scratch()
        parts = self._parts(route, maps[1], in_memory=scratch.folder is None)
        prepared = prepare(scan, card, route, self._low_resolution_stage(scan))
        outputs = Outputs.make(route, self.decision, self.options, scratch)
        windows = WindowOptions(
            card.patch, self.options.overlap, self.mirror, BATCH, self._skip(prepared), self.decision.background
        )
        uncertainty = self._run(_Case(prepared, maps, outputs, windows, BoundaryEntropy(self.decision)), parts)
        whole = self.package.card
        labels = LabelMap(outputs.labels, scan.geometry, whole.table)
        unusual = (*out_of_distribution(scan, card), *out_of_distribution_intensities(scan, outputs.labels, card))
        return Prediction(
            labels,
            self.package.identity,
            outputs.probabilities,
            warnings=(*scan.source.warnings, *unusual, *prepared.warnings),
            notes=(*scan.source.notes, *color_notes, *self._mirror_notes),
            recipe=tuple(PostStep(step.stage, step.options) for step in whole.post),
            volume_range_ml=whole.validation.volume_range_ml if whole.validation else {},
            entropy=outputs.entropies,
            uncertainty=uncertainty,
            out_of_distribution=unusual,
            boundary_limit=whole.uncertainty.boundary_entropy if whole.uncertainty else {},
            computed=replace(self.computed, windows=windows.counter.count()),
            extent=extent_unit(scan.geometry, scan.source),
        )

    def _low_resolution_stage(self, scan: Scan) -> LowResolutionStage | None:
        """In a cascade, what the low-resolution stage finds."""
        card = self.package.card.low_resolution_stage
        if self.low_resolution_stage is None or card is None:
            return None
        return LowResolutionStage(self.low_resolution_stage.segment(scan).labels, card.labels)

    def _parts(self, route: Route, rows: AxisMap, *, in_memory: bool) -> tuple[Strip, ...]:
        """Cut the case into as many strips as memory makes necessary, one as a rule."""

        def need(count: int) -> Need:
            return predict_need(
                route,
                channels=self.package.card.channels,
                decision=self.decision,
                patch=self.package.card.input.patch,
                batch=BATCH,
                network=self.engine.working_bytes,
                kept=in_memory * (self.options.probabilities * self.decision.channels + self.options.entropy),
                strips=strips(rows, count),
                partial=self._skip_beyond is not None,
            )

        limit = self.options.memory_gb
        available = int(limit * 1e9) if limit is not None else int(MEMORY_FRACTION * available_bytes())
        count = strips_that_fit(need, available)
        log.debug("needs %s%s", need(count), f", in {count} strips" if count > 1 else "")
        return strips(rows, count)

    def _run(self, case: _Case, parts: Sequence[Strip]) -> dict[int, ClassUncertainty]:
        """Fill in the results, all at once or strip by strip; return the uncertainty by label value."""
        agreement = getattr(self.engine, "agreement", None)
        if agreement is not None:
            agreement.reset()
        if len(parts) == 1:
            self._stream(case, None, 0)
        else:
            done = 0
            for part in parts:
                self._stream(case, part, max(0, done - part.network.start))
                done = part.network.stop
        entropies, dice = case.boundaries.by_value(), agreement.by_value() if agreement is not None else {}
        return {
            value: ClassUncertainty(entropies.get(value), dice.get(value))
            for value in self.decision.values[1:]
            if value in entropies or value in dice
        }

    def _stream(self, case: _Case, part: Strip | None, first_row: int) -> None:
        """Run the windows over all of the scan, or over one strip, whose rows before `first_row` were done before."""
        outputs, (x, y, z) = case.outputs, (before for before, _ in case.prepared.route.padding)
        maps = case.maps if part is None else (case.maps[0], part.axis_map, case.maps[2])
        offset = (x, y, z) if part is None else (x, 0, z)
        scan_rows = slice(None) if part is None else part.scan
        rows = None if part is None else slice(y + part.network.start, y + part.network.stop)
        target = outputs.boxed(outputs.labels)[:, scan_rows]
        if part is None and self._on_device(case, offset, target):
            return  # its scores never leave the GPU, so that uncertainty along boundaries is not known

        def watch(scores: npt.NDArray[np.float32], outcome: npt.NDArray[Any], first_plane: int) -> None:
            case.boundaries.add(scores, outcome, first_plane, first_row)

        boxed = [
            None if a is None else outputs.boxed(a)[..., scan_rows, :]
            for a in (outputs.probabilities, outputs.entropies)
        ]
        kept = None if all(a is None for a in boxed) else ProbabilityStream(maps, offset, self.decision, *boxed)
        labels = LabelStream(maps, offset, self.decision, target, watch)
        for slab in stream_scores(
            case.prepared.array, self.engine.run, self.decision.channels, case.windows, rows=rows
        ):
            if self.decision.output != self.decision.interpolated:
                slab = Slab(self.decision.to_interpolate(slab.scores), slab.first)
            labels.add(slab)
            if kept is not None:
                kept.add(slab)
        assert labels.complete
        log.debug("scores of %d voxels interpolated", labels.interpolated)

    def _on_device(self, case: _Case, offset: tuple[int, int, int], out: npt.NDArray[Any]) -> bool:
        """Label on the GPU that runs the network; False where there is none, or scores do not fit on it."""
        if self.options.probabilities or self.options.entropy or not getattr(self.engine, "on_gpu", False):
            return False
        import torch

        from medseg.infer.engines.torch import TorchEngine
        from medseg.infer.on_device import label_on_device

        assert isinstance(self.engine, TorchEngine)
        try:
            label_on_device(case.prepared.array, self.engine, case.maps, offset, self.decision, out, case.windows)
        except torch.OutOfMemoryError:
            log.warning("the scores do not fit on the GPU; they are blended in main memory, which is slower")
            torch.cuda.empty_cache()
            case.windows.counter.reset()
            return False
        return True

    @property
    def _skip_beyond(self) -> float | None:
        """Distance in mm from what the low-resolution stage found beyond which windows are skipped, or None."""
        card, requested = self.package.card.low_resolution_stage, self.options.skip_beyond
        if card is None or requested == "none":
            return None
        return card.skip_beyond_mm if requested == "auto" else requested

    def _skip(self, prepared: Prepared) -> Skip | None:
        beyond = self._skip_beyond
        if beyond is None:
            return None
        found = prepared.array[len(self.package.card.input.channels) :]
        return FarFromLowResolution(found, self.package.card.input.patch, prepared.route.spacing, beyond)

    def _mirror_axes(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Network axes to mirror along, and a note where they are not those requested."""
        requested = self.package.card.mirror if self.options.mirror == "auto" else self.options.mirror
        if requested == "none":
            return (), ()
        card = self.package.card.input
        flat = self.package.card.network.dimensions == 2
        every = tuple(range(2 if flat else 3))
        wanted = every if requested == "all" else tuple(a for a in every if self._is_left_right(a))
        if card.mirror_axes is None:
            return wanted, ("The model card does not tell whether its network may be mirrored.",)
        sound = tuple(axis for axis in wanted if axis in card.mirror_axes)
        if sound == wanted:
            return sound, ()
        return sound, (f"Mirrored along {len(sound)} axes only: the network was not trained for the others.",)

    def _is_left_right(self, axis: int) -> bool:
        """Whether an axis of the network runs between left and right; of scans as stored, the first is taken to."""
        card = self.package.card.input
        source = card.axis_order[axis]
        return source == 0 if card.orientation == "stored" else card.orientation[source] in "LR"
