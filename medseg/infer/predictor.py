"""From a scan to its labels, with one model loaded once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.infer.engines.base import Engine
from medseg.infer.engines.select import select_engine
from medseg.infer.expectations import unlike_training
from medseg.infer.labels_from_scores import AxisMap, LabelStream, Strip, strips
from medseg.infer.memory import MOST_STRIPS, Need, available_bytes, predict_need, strips_that_fit
from medseg.infer.options import InferOptions
from medseg.infer.scores_on_source import scores_on_source
from medseg.infer.sliding_window import Slab, stream_scores
from medseg.models.package import ModelPackage
from medseg.prepare.colour import in_colour
from medseg.prepare.pipeline import FirstPass, Prepared, Route, check_channels, plan_route, prepare
from medseg.types import LabelMap, PostStep, Prediction, Scan
from medseg.types.labels import smallest_label_dtype

__all__ = ["Predictor"]

# Windows shown to the network at a time: on a processor more are no faster.
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

    Raises
    ------
    ModelError
        When the package is damaged.
    UsageError
        When the device or engine asked for is not there.
    """

    def __init__(
        self, package: ModelPackage, options: InferOptions | None = None, *, engine: Engine | None = None
    ) -> None:
        self.package = package
        self.options = options or InferOptions()
        self.engine = engine or select_engine(package, self.options)
        first = package.first_pass
        own = self.options.model_copy(update={"scores": False})
        self.first_pass = None if first is None else Predictor(first, own)
        self.decision = Decision.of(package.card)
        self.mirror, self._mirror_notes = self._mirror_axes()
        log.info("model %s on %s", package.identity, self.engine.name)

    def segment(self, scan: Scan) -> Prediction:
        """Label every voxel of a scan on its own grid.

        Everything that depends on numbers happens after the scan's axes are brought to the model's orientation, so the
        order and direction in which a file stores its axes do not change the result.

        Raises
        ------
        ModelError
            When the scan cannot be right for this model: another number of channels.
        ResourceLimit
            When the case would need more memory than there is.
        """
        card = self.package.card.input
        scan, colour_notes = in_colour(scan, card)
        check_channels(scan, card)
        route = plan_route(scan, card)
        maps = [
            AxisMap.between(size, target, nearest=axis == route.separate_back, step=None if step is None else 1 / step)
            for axis, (size, target, step) in enumerate(zip(route.size, route.box.shape, route.steps, strict=True))
        ]
        parts = self._parts(scan, route, maps[1])
        prepared = prepare(scan, card, route, self._first_pass(scan))
        labels, scores = self._run(prepared, maps, parts)
        of_scan = (*scan.source.notes, *colour_notes, *unlike_training(scan, card))
        notes = (*of_scan, *self._mirror_notes, *prepared.notes)
        whole = self.package.card
        return Prediction(
            LabelMap(labels, scan.geometry, whole.table),
            self.package.identity,
            scores,
            notes,
            recipe=tuple(PostStep(step.stage, step.options) for step in whole.post),
            volume_range_ml=whole.validation.volume_range_ml if whole.validation else {},
        )

    def _first_pass(self, scan: Scan) -> FirstPass | None:
        """In a cascade, what the first pass finds."""
        card = self.package.card.first_pass
        if self.first_pass is None or card is None:
            return None
        return FirstPass(self.first_pass.segment(scan).labels, card.labels)

    def _parts(self, scan: Scan, route: Route, rows: AxisMap) -> tuple[Strip, ...]:
        """Cut the case into as many strips as memory makes necessary, one as a rule."""

        def need(count: int) -> Need:
            return predict_need(
                route,
                channels=self.package.card.channels,
                decision=self.decision,
                patch=self.package.card.input.patch,
                batch=BATCH,
                network=self.engine.working_bytes,
                scores=self.options.scores,
                strips=strips(rows, count),
            )

        limit = self.options.memory_gb
        available = int(limit * 1e9) if limit is not None else int(SHARE * available_bytes())
        # Scores, where kept, are as large as all strips together.
        count = strips_that_fit(need, available, most=1 if self.options.scores else MOST_STRIPS)
        log.debug("needs %s%s", need(count), f", in {count} strips" if count > 1 else "")
        return strips(rows, count)

    def _run(
        self, prepared: Prepared, maps: Sequence[AxisMap], parts: Sequence[Strip]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32] | None]:
        """Labels, and scores where asked for, on the scan's own grid and axes."""
        route = prepared.route
        shape = route.order.geometry(route.source).shape
        # X fastest, as NIfTI stores it and as slabs, finished along Z, fill it.
        ordered = np.zeros(shape[::-1], dtype=smallest_label_dtype(max(self.decision.values))).transpose(2, 1, 0)
        boxed = ordered[route.box.slices]
        if len(parts) == 1:
            kept = self._label(prepared, maps, boxed, None)
        else:
            kept = []
            for part in parts:
                self._label(prepared, (maps[0], part.axis_map, maps[2]), boxed[:, part.scan], part.network)
        scores = scores_on_source(np.concatenate(kept, axis=3), route, self.decision) if kept else None
        return route.order.undo(ordered), scores

    def _label(
        self, prepared: Prepared, maps: Sequence[AxisMap], out: npt.NDArray[Any], rows: slice | None
    ) -> list[npt.NDArray[np.float32]]:
        """Label all of the scan, or the strip that needs these rows of the network's grid; give the scores kept."""
        x, y, z = (before for before, _ in prepared.route.padding)
        offset = (x, y, z) if rows is None else (x, 0, z)
        if rows is None and self._on_device(prepared, maps, offset, out):
            return []
        labels = LabelStream(maps, offset, self.decision, out)
        kept: list[npt.NDArray[np.float32]] = []
        for slab in stream_scores(
            prepared.array,
            self.engine.run,
            classes=self.decision.channels,
            patch=self.package.card.input.patch,
            overlap=self.options.overlap,
            mirror=self.mirror,
            batch=BATCH,
            rows=None if rows is None else slice(y + rows.start, y + rows.stop),
        ):
            if self.decision.output != self.decision.interpolated:
                slab = Slab(self.decision.to_interpolate(slab.scores), slab.first)
            if self.options.scores:
                kept.append(slab.scores[..., 1 if kept else 0 :].copy())
            labels.add(slab)
        assert labels.complete
        log.debug("scores of %d voxels interpolated", labels.interpolated)
        return kept

    def _on_device(
        self, prepared: Prepared, maps: Sequence[AxisMap], offset: tuple[int, int, int], out: npt.NDArray[Any]
    ) -> bool:
        """Label on the GPU that runs the network; False where there is none, or scores do not fit on it."""
        if self.options.scores or not getattr(self.engine, "on_gpu", False):
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
            )
        except torch.OutOfMemoryError:
            log.warning("the scores do not fit on the GPU; they are blended in main memory, which is slower")
            torch.cuda.empty_cache()
            return False
        return True

    def _mirror_axes(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Network axes to mirror along, and what to tell the user where they are not what was asked."""
        wish = self.package.card.mirror if self.options.mirror == "auto" else self.options.mirror
        if wish == "none":
            return (), ()
        card = self.package.card.input
        flat = self.package.card.network.dimensions == 2
        every = tuple(range(2 if flat else 3))
        asked = every if wish == "all" else tuple(a for a in every if card.axis_order[a] == 0)
        if card.mirror_axes is None:
            return asked, ("the model card does not say whether its network may be mirrored",)
        sound = tuple(axis for axis in asked if axis in card.mirror_axes)
        if sound == asked:
            return sound, ()
        return sound, (f"mirrored along {len(sound)} axes only: the network was not trained for the others",)
