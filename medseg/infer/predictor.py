"""From a scan to its labels, with one model loaded once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.infer.engines.base import Engine
from medseg.infer.engines.select import select_engine
from medseg.infer.expectations import unlike_training
from medseg.infer.labels_from_scores import AxisMap, LabelStream
from medseg.infer.options import InferOptions
from medseg.infer.scores_on_source import scores_on_source
from medseg.infer.sliding_window import Slab, stream_scores
from medseg.models.package import ModelPackage
from medseg.prepare.pipeline import Route, prepare
from medseg.types import LabelMap, PostStep, Prediction, Scan
from medseg.types.labels import smallest_label_dtype

__all__ = ["Predictor"]

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
        self.decision = Decision((0, *(c.value for c in package.card.table)))
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
        notes = (*scan.source.notes, *unlike_training(scan, card), *self._mirror_notes)
        prepared = prepare(scan, card)
        slabs = stream_scores(
            prepared.array,
            self.engine.run,
            classes=self.decision.channels,
            patch=card.patch,
            overlap=self.options.overlap,
            mirror=self.mirror,
        )
        dense = _Kept(slabs) if self.options.scores else None
        labels = self._labels(prepared.route, slabs if dense is None else dense)
        scores = None if dense is None else scores_on_source(dense.scores(), prepared.route, self.decision)
        whole = self.package.card
        return Prediction(
            LabelMap(labels, scan.geometry, whole.table),
            self.package.identity,
            scores,
            (*notes, *prepared.notes),
            tuple(PostStep(step.stage, step.options) for step in whole.post),
        )

    def _labels(self, route: Route, slabs: Iterable[Slab]) -> npt.NDArray[Any]:
        shape = route.order.geometry(route.source).shape
        # X fastest, as NIfTI stores it and as slabs, finished along Z, fill it.
        ordered = np.zeros(shape[::-1], dtype=smallest_label_dtype(max(self.decision.values))).transpose(2, 1, 0)
        maps = [
            AxisMap.between(size, target, nearest=axis == route.separate_back)
            for axis, (size, target) in enumerate(zip(route.size, route.box.shape, strict=True))
        ]
        padding = route.padding
        offset = (padding[0][0], padding[1][0], padding[2][0])
        stream = LabelStream(maps, offset, self.decision, ordered[route.box.slices])
        for slab in slabs:
            stream.add(slab)
        assert stream.complete
        log.debug("scores of %.2f%% of voxels interpolated", 100 * stream.interpolated / ordered.size)
        return route.order.undo(ordered)

    def _mirror_axes(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Network axes to mirror along, and what to tell the user where they are not what was asked."""
        if self.options.mirror == "none":
            return (), ()
        card = self.package.card.input
        flat = self.package.card.network.dimensions == 2
        every = tuple(range(2 if flat else 3))
        asked = every if self.options.mirror == "all" else tuple(a for a in every if card.axis_order[a] == 0)
        if card.mirror_axes is None:
            return asked, ("the model card does not say whether its network may be mirrored",)
        sound = tuple(axis for axis in asked if axis in card.mirror_axes)
        if sound == asked:
            return sound, ()
        return sound, (f"mirrored along {len(sound)} axes only: the network was not trained for the others",)


class _Kept:
    """Hands slabs on and keeps their scores."""

    def __init__(self, slabs: Iterator[Slab]) -> None:
        self._slabs = slabs
        self._planes: list[npt.NDArray[np.float32]] = []

    def __iter__(self) -> Iterator[Slab]:
        for slab in self._slabs:
            self._planes.append(slab.scores[..., 1 if self._planes else 0 :].copy())
            yield slab

    def scores(self) -> npt.NDArray[np.float32]:
        """Scores on the whole grid of the network, shape (K, X, Y, Z)."""
        return np.concatenate(self._planes, axis=3)
