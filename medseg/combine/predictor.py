"""Segments scans with a composite: its parts one after another, into one label map."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.combine.box import box_around, crop, grown, touched
from medseg.combine.cleaning import cleaned
from medseg.combine.grid import Gridded, on_grid
from medseg.combine.loaded import LoadedParts
from medseg.combine.located import with_own_classes
from medseg.combine.mean_probability import MeanProbability
from medseg.combine.merging import PartReport, combined, paste, report
from medseg.combine.shared import SharedPreparation
from medseg.errors import UsageError
from medseg.infer.engines.select import ProgressCallback, check_available, runs_on_gpu
from medseg.infer.gate.scan import refuse_channels
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor, check_automatic
from medseg.locate.segment import segment_scan
from medseg.models.composite_card import PartCard
from medseg.models.package import ModelPackage
from medseg.prepare.prepared import check_channels
from medseg.types import LabelMap, Prediction, Scan
from medseg.types.axis_order import AxisOrder, nearest_ras
from medseg.types.box import Box
from medseg.types.extent import extent_unit
from medseg.types.labels import smallest_label_dtype

# Least distance by which a face moves; each time twice as far, so that a long organ needs few rounds.
LEAST_GROWTH_MM = 20.0
BOXED = "The parts of the model looked in a box around what {part} found, not in the whole scan."

Windows = Callable[[int, int], None]
log = logging.getLogger("medseg.combine")


def check_runnable(package: ModelPackage, options: InferOptions) -> None:
    """Check before any work that a package, or every part of it, can be run as asked; raises `UsageError`."""
    for part in package.parts or (package,):
        check_automatic(part)
        check_available(part, options)
    card = package.card.composite
    if card is not None and card.merge != "average" and (options.probabilities or options.entropy):
        raise UsageError(
            "a composite has no probabilities or entropy of its own, because several networks make its labels",
            where=package.card.name,
            fix="Omit --save and dicom-seg-fractional, or run one of its parts.",
        )


@dataclass(frozen=True, eq=False)
class _Case:
    """A scan in hand, its axes in the order of the shared grid, and how it is to be segmented."""

    scan: Scan
    anyway: bool
    on_windows: Windows | None


@dataclass(frozen=True, eq=False)
class _View:
    """What a part is shown: the scan inside a box, on the shared grid."""

    box: Box
    gridded: Gridded


@dataclass(frozen=True, eq=False)
class _Found:
    """A part's labels on the grid it saw."""

    entry: PartCard
    labels: npt.NDArray[Any]
    view: _View

    def paste_into(self, result: npt.NDArray[Any]) -> None:
        """Put them over those of the whole scan."""
        paste(result[self.view.box.slices], self.labels, self.view.gridded.back, self.entry)


@dataclass(frozen=True, eq=False)
class _Made:
    """Labels on the scan's grid, what every part said, notes, and of a mean of probabilities what is known of it."""

    labels: npt.NDArray[Any]
    parts: Sequence[PartReport]
    notes: tuple[str, ...] = ()
    mean: MeanProbability | None = None


class CompositePredictor:
    """Segments scans with a composite package.

    On the CPU networks stay loaded from scan to scan while an eighth of the free memory holds them, elsewhere only that
    of the part that runs. Parts that want the scan prepared in the same way share what was prepared.
    """

    def __init__(
        self, package: ModelPackage, options: InferOptions | None = None, *, progress: ProgressCallback | None = None
    ) -> None:
        assert package.card.composite is not None
        self.package, self.card = package, package.card.composite
        self.options = options or InferOptions()
        self.shared = SharedPreparation()
        self._progress = progress
        limit = None if self.options.memory_gb is None else self.options.memory_gb * 1e9
        self.loaded = LoadedParts(self._open, limit=0.0 if runs_on_gpu(self.options) else limit)
        self._lock = Lock()  # networks come and go, so one scan at a time
        check_runnable(package, self.options)

    def segment(self, scan: Scan, *, anyway: bool = False, on_windows: Windows | None = None) -> Prediction:
        """Label every voxel of a scan on its own grid; a scan that is not for a part raises `NotForThisModel`."""
        more = refuse_channels(scan, self.package.card.input)
        if more is not None and not anyway:
            raise more.error()
        check_channels(scan, self.package.card.input)
        order = AxisOrder() if self.card.grid is None else nearest_ras(scan.geometry)
        ordered = scan
        if order != AxisOrder():
            ordered = scan.with_array(order.apply(scan.array), order.geometry(scan.geometry))
        with self._lock:
            try:
                found = self._segment(_Case(ordered, anyway, on_windows))
            finally:
                self.shared.forget()
        made = LabelMap(order.undo(found.labels), scan.geometry, self.package.card.table)
        prediction = combined(made, self.package, found.parts, anyway=anyway)
        prediction = replace(
            prediction, notes=(*prediction.notes, *found.notes), extent=extent_unit(scan.geometry, scan.source)
        )
        return prediction if found.mean is None else self._with_mean(prediction, found.mean)

    def _with_mean(self, prediction: Prediction, mean: MeanProbability) -> Prediction:
        known = self.package.card.uncertainty
        return replace(
            prediction,
            uncertainty=mean.uncertainty(),
            boundary_limit={} if known is None else known.boundary_entropy,
            probabilities=mean.probabilities if self.options.probabilities else None,
            entropy=mean.entropies() if self.options.entropy else None,
        )

    def _segment(self, case: _Case) -> _Made:
        if self.card.merge == "average":
            return self._averaged(case)
        shape, locator = case.scan.geometry.shape, self.card.locator
        kind = smallest_label_dtype(self.package.card.table.largest)
        result = np.zeros(shape[::-1], kind).transpose(2, 1, 0)
        view = self._look(case.scan, Box.whole(shape))
        parts: list[PartReport] = []
        notes: tuple[str, ...] = ()
        held: _Found | None = None  # what locates runs first, whatever its priority
        for number, (entry, package) in enumerate(self._in_order()):
            found, one = self._run(entry, package, replace(case, on_windows=self._counted(number, case)), view)
            parts.append(one)
            if locator is not None and entry.name == locator.part:
                held, notes = found, (BOXED.format(part=entry.name),)
                box = box_around(found.labels, locator.classes, view.gridded.back)
                if box is None:
                    parts[-1] = _nothing_located(one)
                    break
                view = self._look(case.scan, grown(box, locator.margin_mm, case.scan.geometry))
                continue
            if held is not None and held.entry.priority <= entry.priority:
                held.paste_into(result)
                held = None
            found.paste_into(result)
        if held is not None:
            held.paste_into(result)
        return _Made(result, parts, notes)

    def _averaged(self, case: _Case) -> _Made:
        """Labels by the mean of the parts' probabilities on the scan's grid; a part's own clean-up has no say."""
        mean = MeanProbability(self.package.card.table, case.scan.geometry.shape, len(self.card.parts))
        parts: list[PartReport] = []
        for number, (entry, package) in enumerate(self._in_order()):
            predictor = self.loaded.get(entry.name, package)
            counted = self._counted(number, case)
            prediction = segment_scan(predictor, case.scan, anyway=case.anyway, on_windows=counted)
            assert prediction.probabilities is not None  # asked for by `_load`
            mean.add(prediction.probabilities, predictor.decision.values, entry)
            parts.append(report(entry, package.card, replace(prediction, probabilities=None)))
        return _Made(mean.labels(), parts, mean=mean)

    def _look(self, scan: Scan, box: Box) -> _View:
        return _View(box, on_grid(crop(scan, box), self.card.grid))

    def _in_order(self) -> list[tuple[PartCard, ModelPackage]]:
        """The parts as they run: what locates goes first, then by priority, so that later ones lie on top."""
        locator = self.card.locator
        parts = zip(self.card.parts, self.package.parts, strict=True)
        return sorted(parts, key=lambda p: (locator is None or p[0].name != locator.part, p[0].priority))

    def _run(self, entry: PartCard, package: ModelPackage, case: _Case, view: _View) -> tuple[_Found, PartReport]:
        """Run a part, again in a larger box while its labels are cut off at a face of the box."""
        predictor = self.loaded.get(entry.name, package)
        step = max(LEAST_GROWTH_MM, self.card.locator.margin_mm if self.card.locator is not None else 0.0)
        while True:
            prediction = segment_scan(predictor, view.gridded.scan, anyway=case.anyway, on_windows=case.on_windows)
            own = with_own_classes(prediction, entry, package.card)
            # What was located is whole on either side already; of both together a rule would keep one.
            labels = cleaned(own.labels, package.card.post if own is prediction else ())
            sides = touched(labels.array, entry.values, view.box, case.scan.geometry.shape)
            if not any(map(any, sides)):
                return _Found(entry, labels.array, view), report(entry, package.card, own)
            box = grown(view.box, step, case.scan.geometry, sides)
            log.info("%s reaches a face of its box; the box grows to %s voxels.", entry.name, box.shape)
            view, step = self._look(case.scan, box), 2 * step

    def _open(self, package: ModelPackage) -> Predictor:
        averaged = self.card.merge == "average"
        options = self.options.model_copy(update={"probabilities": averaged, "entropy": False})
        return Predictor(package, options, progress=self._progress, prepare=self.shared)

    def _counted(self, number: int, case: _Case) -> Windows | None:
        """Windows of all parts, taking those to come for as many as those of the part in hand."""
        hear, count = case.on_windows, len(self.card.parts)
        return None if hear is None else lambda done, total: hear(number * total + done, count * total)


def _nothing_located(one: PartReport) -> PartReport:
    text = (
        f"{one.entry.name} found nothing of what the other parts look around, so they did not look: their classes are "
        "missing from the labels."
    )
    return replace(one, prediction=replace(one.prediction, warnings=(*one.prediction.warnings, text)))
