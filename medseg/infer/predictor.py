"""From a scan to its labels, with one model loaded once."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from pydantic import ValidationError

from medseg.errors import ConfigError, ModelError, UsageError
from medseg.infer.axis_map import AxisMap, Strip, strips
from medseg.infer.decision import Decision
from medseg.infer.engines.base import Engine
from medseg.infer.engines.select import ProgressCallback, choose_engine
from medseg.infer.expectations import out_of_distribution, out_of_distribution_intensities
from medseg.infer.labeling import Labeling
from medseg.infer.memory import Need, available_bytes, predict_need, strips_that_fit
from medseg.infer.mirroring import mirror_axes
from medseg.infer.options import InferOptions
from medseg.infer.outputs import Outputs
from medseg.infer.skipped_windows import FarFromLowResolution, Skip, now_and_then
from medseg.infer.sliding_window import WindowOptions
from medseg.infer.uncertainty import BoundaryEntropy
from medseg.infer.window_size import cheapest_window, overlap_of
from medseg.io.files.scratch import Scratch
from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage
from medseg.prepare.gray_to_rgb import in_color
from medseg.prepare.labels import LowResolutionStage
from medseg.prepare.prepared import Preparation, Prepared, check_channels, prepare
from medseg.prepare.route import Route, plan_route
from medseg.types import LabelMap, OverlappingLabels, PostStep, Prediction, Scan
from medseg.types.extent import extent_unit
from medseg.types.how_computed import HowComputed

# Windows shown to the network at a time: on a CPU more are no faster.
BATCH = 1
# Sliding-window overlap where neither the user nor the card says one.
OVERLAP = 0.5
# Fraction of the free memory that one case may be predicted to take.
MEMORY_FRACTION = 0.9
# Of that, what the network's results in one larger window may take.
LARGEST_FRACTION = 0.25

log = logging.getLogger("medseg.infer")


class Predictor:
    """Segments scans with one model package, whose network is built and weights are read once.

    - `engine`: what computes the network; chosen by the options where not given.
    - `progress`: called with what takes long and is done once for a model.
    - `prepare`: brings a scan onto the network's grid; a composite has one that remembers.
    """

    def __init__(
        self,
        package: ModelPackage,
        options: InferOptions | None = None,
        *,
        engine: Engine | None = None,
        progress: ProgressCallback | None = None,
        prepare: Preparation = prepare,
    ) -> None:
        check_automatic(package)
        self.package = package
        self._prepare = prepare
        self.options = options or InferOptions()
        if engine is not None:
            self.engine, self.computed = engine, HowComputed(engine.name, why="given as an argument")
        else:
            chosen = choose_engine(package, self.options, progress)
            self.engine = chosen.engine
            self.computed = chosen.how()
        first = package.low_resolution_stage
        if first is not None and first.card.overlapping:
            raise ModelError(
                "the classes of its low-resolution stage overlap, and the next stage is shown one class a voxel",
                where=package.identity,
                fix="Train the low-resolution stage on classes that exclude each other.",
            )
        own = self.options.model_copy(update={"probabilities": False, "entropy": False, "regions": "auto"})
        self.low_resolution_stage = None if first is None else Predictor(first, own, progress=progress)
        if self.options.regions == "keep":
            _check_can_overlap(package)
        self.decision = Decision.from_card(package.card, self.options.regions)
        self.mirror, self._mirror_notes = mirror_axes(package.card, self.options.mirror)
        log.info("The model %s runs on %s.", package.identity, self.engine.name)

    def segment(
        self, scan: Scan, scratch: Scratch | None = None, *, on_windows: Callable[[int, int], None] | None = None
    ) -> Prediction:
        """Label every voxel of a scan on its own grid.

        Everything that depends on numbers happens after the scan's axes are brought to the model's orientation, so the
        order and direction in which a file stores its axes do not change the result. Probabilities and entropies, if
        requested, are kept in `scratch`, in memory without it. `on_windows` hears now and then how many windows of how
        many are done.
        """
        card = self.package.card.input
        scan, color_notes = in_color(scan, card)
        check_channels(scan, card)
        route = plan_route(scan, card)
        engine, window = self._engine_for(route)
        route = route.padded_to(window)
        maps = tuple(
            AxisMap.between(size, target, nearest=axis == route.separate_back, step=None if step is None else 1 / step)
            for axis, (size, target, step) in enumerate(zip(route.size, route.box.shape, route.steps, strict=True))
        )
        scratch = scratch or Scratch()
        parts = self._parts(route, maps[1], engine, window, in_memory=scratch.folder is None)
        prepared = self._prepare(scan, card, route, self._low_resolution_stage(scan))
        outputs = Outputs.make(route, self.decision, self.options, scratch)
        windows = WindowOptions(
            window,
            overlap_of(window, card.patch, self.overlap),
            self.mirror,
            BATCH,
            self._skip(prepared),
            self.decision.background,
            half=self.package.card.sums == "float16",
        )
        if on_windows is not None:
            windows.counter.watch = now_and_then(on_windows, windows.count(prepared.array.shape[1:]))
        whole = self.package.card
        judged = whole.result is not None and whole.result.boundary_entropy is not None
        labeling = Labeling(
            engine, self.decision, prepared, maps, outputs, windows, BoundaryEntropy(self.decision), judged
        )
        uncertainty = labeling.run(parts)
        overlapping = None
        if self.decision.overlapping:
            overlapping = OverlappingLabels.of_bits(
                outputs.labels, scan.geometry, whole.table, self.decision.values[1:]
            )
        labels = overlapping.folded() if overlapping else LabelMap(outputs.labels, scan.geometry, whole.table)
        unusual = (*out_of_distribution(scan, card), *out_of_distribution_intensities(scan, outputs.labels, card))
        return Prediction(
            labels,
            self.package.identity,
            outputs.probabilities,
            warnings=(*scan.source.warnings, *unusual, *prepared.warnings),
            notes=(*scan.source.notes, *color_notes, *self._mirror_notes),
            recipe=tuple(PostStep(step.stage, step.options) for step in whole.post),
            volume_range_ml=self._volume_range(),
            entropy=outputs.entropies,
            uncertainty=uncertainty,
            out_of_distribution=unusual,
            boundary_limit=whole.uncertainty.boundary_entropy if whole.uncertainty else {},
            computed=replace(self.computed, windows=windows.counter.count()),
            extent=extent_unit(scan.geometry, scan.source),
            overlapping=overlapping,
            interval_rule=None if whole.volume_interval is None else whole.volume_interval.to_rule(),
        )

    def _volume_range(self) -> Mapping[str, tuple[float, float]]:
        """The card's volumes, which are those of results made as the card says: folded, or with every region whole."""
        known = self.package.card.validation
        return known.volume_range_ml if known and self.decision.overlapping == self.package.card.overlapping else {}

    def _low_resolution_stage(self, scan: Scan) -> LowResolutionStage | None:
        """In a cascade, what the low-resolution stage finds."""
        card = self.package.card.low_resolution_stage
        if self.low_resolution_stage is None or card is None:
            return None
        return LowResolutionStage(self.low_resolution_stage.segment(scan).labels, card.labels)

    def _engine_for(self, route: Route) -> tuple[Engine, tuple[int, int, int]]:
        """What computes this scan, and the size of its windows."""
        own = self.package.card.input.patch
        wanted = self.options.larger_windows and self._skip_beyond is None
        if not wanted or (multiple := self.engine.multiple) is None:
            return self.engine, own
        most = int(self._available() * LARGEST_FRACTION * math.prod(own) / self.engine.working_bytes)
        window = cheapest_window(route.size, own, multiple, self.overlap, most)
        return (self.engine if window == own else self.engine.resized(window)), window

    def _available(self) -> int:
        """Bytes that a case may take."""
        limit = self.options.memory_gb
        return int(limit * 1e9) if limit is not None else int(MEMORY_FRACTION * available_bytes())

    def _parts(
        self, route: Route, rows: AxisMap, engine: Engine, window: tuple[int, int, int], *, in_memory: bool
    ) -> tuple[Strip, ...]:
        """Cut the case into as many strips as memory makes necessary, one as a rule."""
        layer = getattr(engine, "output_layer", None)

        def need(count: int) -> Need:
            return predict_need(
                route,
                channels=self.package.card.channels,
                decision=self.decision,
                patch=window,
                batch=BATCH,
                network=engine.working_bytes,
                kept=in_memory * (self.options.probabilities * self.decision.channels + self.options.entropy),
                strips=strips(rows, count),
                partial=self._skip_beyond is not None or self.package.card.sums == "float16",
                features=None if layer is None else layer.features,
            )

        count = strips_that_fit(need, self._available())
        log.debug("The case needs %s%s.", need(count), f", in {count} strips" if count > 1 else "")
        return strips(rows, count)

    @property
    def overlap(self) -> float:
        """Sliding-window overlap: what was asked for, else the card's, else a half."""
        wanted = self.options.overlap if self.options.overlap is not None else self.package.card.overlap
        return OVERLAP if wanted is None else wanted

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


def check_automatic(package: ModelPackage) -> None:
    """Refuse a model that takes clicks, which by itself finds nothing; raises `UsageError`."""
    if package.card.interactive is not None:
        raise UsageError(
            "the model takes clicks, and by itself finds nothing",
            where=str(package.identity),
            fix="Use it in the review page: medseg review RESULTS --clicks MODEL.",
        )


def _check_can_overlap(package: ModelPackage) -> None:
    """Refuse to keep the regions of a model whose card could not say that they overlap."""
    try:
        ModelCard.model_validate(package.card.model_dump() | {"overlapping": True})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"the regions of this model cannot be kept: {reason}", where="regions", fix="Use auto or fold."
        ) from error
