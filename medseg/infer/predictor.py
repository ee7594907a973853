"""From a scan to its labels, with one model loaded once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.axis_map import AxisMap, Strip, strips
from medseg.infer.decision import Decision
from medseg.infer.engines.base import Engine
from medseg.infer.engines.select import Say, choose_engine
from medseg.infer.expectations import out_of_distribution, out_of_distribution_intensities
from medseg.infer.labels_from_scores import LabelStream
from medseg.infer.memory import Need, available_bytes, predict_need, strips_that_fit
from medseg.infer.options import InferOptions
from medseg.infer.outputs import Outputs
from medseg.infer.score_stream import ScoreStream
from medseg.infer.sliding_window import Slab, stream_scores
from medseg.infer.uncertainty import BorderDoubt
from medseg.infer.windows_saved import FarFromFirstPass, Skip, WindowTally
from medseg.io.files.scratch import Scratch
from medseg.models.package import ModelPackage
from medseg.prepare.color import in_color
from medseg.prepare.route import LowResolutionStage, Prepared, Route, check_channels, plan_route, prepare
from medseg.types import LabelMap, PostStep, Prediction, Scan
from medseg.types.how_computed import HowComputed
from medseg.types.prediction import ClassUncertainty

__all__ = ["Predictor"]

# Windows shown to the network at a time: on a CPU more are no faster.
BATCH = 1
# Of the memory that is free, the share one case may be predicted to take.
SHARE = 0.9

log = logging.getLogger("medseg.infer")


class Predictor:
    """Segments scans with one model package.

    Parameters
    ----------
    package : ModelPackage
        The model. Its network is built and its weights are read here, once for every scan to come.
    options : InferOptions
        How to run it.
    engine : Engine, optional
        What computes the network; chosen by the options where not given.
    say : callable, optional
        Is told of what takes long and is done once for a model.

    Raises
    ------
    ModelError
        When the package is damaged.
    UsageError
        When the device or engine asked for is not there.
    """

    def __init__(
        self,
        package: ModelPackage,
        options: InferOptions | None = None,
        *,
        engine: Engine | None = None,
        say: Say | None = None,
    ) -> None:
        self.package = package
        self.options = options or InferOptions()
        if engine is not None:
            self.engine, self.computed = engine, HowComputed(engine.name, why="handed over ready")
        else:
            chosen = choose_engine(package, self.options, say)
            self.engine = chosen.engine
            self.computed = HowComputed(chosen.program, chosen.device, chosen.precision, chosen.why)
        first = package.low_resolution_stage
        own = self.options.model_copy(update={"probabilities": False, "entropy": False})
        self.low_resolution_stage = None if first is None else Predictor(first, own, say=say)
        self.decision = Decision.of(package.card)
        self.mirror, self._mirror_notes = self._mirror_axes()
        log.info("model %s on %s", package.identity, self.engine.name)

    def segment(self, scan: Scan, scratch: Scratch | None = None) -> Prediction:
        """Label every voxel of a scan on its own grid.

        Everything that depends on numbers happens after the scan's axes are brought to the model's orientation, so the
        order and direction in which a file stores its axes do not change the result.

        Parameters
        ----------
        scan : Scan
            As read.
        scratch : Scratch, optional
            Where scores and entropies are kept, if asked for; in memory without it.

        Raises
        ------
        ModelError
            When the scan cannot be right for this model: another number of channels.
        ResourceLimit
            When the case would need more memory than there is.
        """
        card = self.package.card.input
        scan, color_notes = in_color(scan, card)
        check_channels(scan, card)
        route = plan_route(scan, card)
        maps = [
            AxisMap.between(size, target, nearest=axis == route.separate_back, step=None if step is None else 1 / step)
            for axis, (size, target, step) in enumerate(zip(route.size, route.box.shape, route.steps, strict=True))
        ]
        scratch = scratch or Scratch()
        parts = self._parts(route, maps[1], in_memory=scratch.folder is None)
        prepared = prepare(scan, card, route, self._low_resolution_stage(scan))
        outputs = Outputs.make(route, self.decision, self.options, scratch)
        tally = WindowTally()
        uncertainty = self._run(prepared, maps, parts, outputs, tally)
        whole = self.package.card
        labels = LabelMap(outputs.labels, scan.geometry, whole.table)
        unlike = (*out_of_distribution(scan, card), *out_of_distribution_intensities(scan, outputs.labels, card))
        return Prediction(
            labels,
            self.package.identity,
            outputs.shares,
            warnings=(*scan.source.warnings, *unlike, *prepared.warnings),
            notes=(*scan.source.notes, *color_notes, *self._mirror_notes),
            recipe=tuple(PostStep(step.stage, step.options) for step in whole.post),
            volume_range_ml=whole.validation.volume_range_ml if whole.validation else {},
            entropy=outputs.entropies,
            uncertainty=uncertainty,
            out_of_distribution=unlike,
            boundary_limit=whole.uncertainty.boundary_entropy if whole.uncertainty else {},
            computed=replace(self.computed, windows=tally.count()),
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
        available = int(limit * 1e9) if limit is not None else int(SHARE * available_bytes())
        count = strips_that_fit(need, available)
        log.debug("needs %s%s", need(count), f", in {count} strips" if count > 1 else "")
        return strips(rows, count)

    def _run(
        self,
        prepared: Prepared,
        maps: Sequence[AxisMap],
        parts: Sequence[Strip],
        outputs: Outputs,
        tally: WindowTally,
    ) -> dict[int, ClassUncertainty]:
        """Fill in the results, all at once or strip by strip; give what the network left open, by label value."""
        borders = BorderDoubt(self.decision)
        members = getattr(self.engine, "agreement", None)
        if members is not None:
            members.reset()
        if len(parts) == 1:
            self._stream(prepared, maps, outputs, slice(None), None, borders, 0, tally)
        else:
            seen = 0
            for part in parts:
                first_row = max(0, seen - part.network.start)
                own = (maps[0], part.axis_map, maps[2])
                self._stream(prepared, own, outputs, part.scan, part.network, borders, first_row, tally)
                seen = part.network.stop
        entropies, dice = borders.by_value(), members.by_value() if members is not None else {}
        return {
            value: ClassUncertainty(entropies.get(value), dice.get(value))
            for value in self.decision.values[1:]
            if value in entropies or value in dice
        }

    def _stream(
        self,
        prepared: Prepared,
        maps: Sequence[AxisMap],
        outputs: Outputs,
        scan_rows: slice,
        rows: slice | None,
        borders: BorderDoubt,
        first_row: int,
        tally: WindowTally,
    ) -> None:
        """Run the windows over all of the scan, or over the strip that needs these rows of the network's grid."""
        x, y, z = (before for before, _ in prepared.route.padding)
        offset = (x, y, z) if rows is None else (x, 0, z)

        target = outputs.boxed(outputs.labels)[:, scan_rows]
        skip = self._skip(prepared)
        if rows is None and self._on_device(prepared, maps, offset, target, skip, tally):
            return  # its scores never leave the GPU, so that uncertainty along borders is not known

        def watch(scores: npt.NDArray[np.float32], outcome: npt.NDArray[Any], first_plane: int) -> None:
            borders.add(scores, outcome, first_plane, first_row)

        boxed = [
            None if a is None else outputs.boxed(a)[..., scan_rows, :] for a in (outputs.shares, outputs.entropies)
        ]
        scores = None if all(array is None for array in boxed) else ScoreStream(maps, offset, self.decision, *boxed)
        labels = LabelStream(maps, offset, self.decision, target, watch)
        for slab in stream_scores(
            prepared.array,
            self.engine.run,
            classes=self.decision.channels,
            patch=self.package.card.input.patch,
            overlap=self.options.overlap,
            mirror=self.mirror,
            batch=BATCH,
            rows=None if rows is None else slice(y + rows.start, y + rows.stop),
            skip=skip,
            background=self.decision.background,
            tally=tally,
        ):
            if self.decision.output != self.decision.interpolated:
                slab = Slab(self.decision.to_interpolate(slab.scores), slab.first)
            labels.add(slab)
            if scores is not None:
                scores.add(slab)
        assert labels.complete
        log.debug("scores of %d voxels interpolated", labels.interpolated)

    def _on_device(
        self,
        prepared: Prepared,
        maps: Sequence[AxisMap],
        offset: tuple[int, int, int],
        out: npt.NDArray[Any],
        skip: Skip | None,
        tally: WindowTally,
    ) -> bool:
        """Label on the GPU that runs the network; False where there is none, or scores do not fit on it."""
        if self.options.probabilities or self.options.entropy or not getattr(self.engine, "on_gpu", False):
            return False
        import torch

        from medseg.infer.engines.torch import TorchEngine
        from medseg.infer.on_device import label_on_device

        assert isinstance(self.engine, TorchEngine)
        try:
            label_on_device(
                prepared.array,
                self.engine,
                maps,
                offset,
                self.decision,
                out,
                patch=self.package.card.input.patch,
                overlap=self.options.overlap,
                mirror=self.mirror,
                batch=BATCH,
                skip=skip,
                tally=tally,
            )
        except torch.OutOfMemoryError:
            log.warning("the scores do not fit on the GPU; they are blended in main memory, which is slower")
            torch.cuda.empty_cache()
            tally.reset()
            return False
        return True

    @property
    def _skip_beyond(self) -> float | None:
        """Distance in mm from what the low-resolution stage found beyond which windows are skipped, or None."""
        card, wish = self.package.card.low_resolution_stage, self.options.skip_beyond
        if card is None or wish == "none":
            return None
        return card.skip_beyond_mm if wish == "auto" else wish

    def _skip(self, prepared: Prepared) -> Skip | None:
        beyond = self._skip_beyond
        if beyond is None:
            return None
        found = prepared.array[len(self.package.card.input.channels) :]
        return FarFromFirstPass(found, self.package.card.input.patch, prepared.route.spacing, beyond)

    def _mirror_axes(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Network axes to mirror along, and what to tell the user where they are not what was asked."""
        wish = self.package.card.mirror if self.options.mirror == "auto" else self.options.mirror
        if wish == "none":
            return (), ()
        card = self.package.card.input
        flat = self.package.card.network.dimensions == 2
        every = tuple(range(2 if flat else 3))
        asked = every if wish == "all" else tuple(a for a in every if self._is_left_right(a))
        if card.mirror_axes is None:
            return asked, ("the model card does not say whether its network may be mirrored",)
        sound = tuple(axis for axis in asked if axis in card.mirror_axes)
        if sound == asked:
            return sound, ()
        return sound, (f"mirrored along {len(sound)} axes only: the network was not trained for the others",)

    def _is_left_right(self, axis: int) -> bool:
        """Whether an axis of the network runs between left and right; of scans as stored, the first is taken to."""
        card = self.package.card.input
        source = card.axis_order[axis]
        return source == 0 if card.orientation == "stored" else card.orientation[source] in "LR"
