"""Segments a scan if it is what the model is for: the one way that the command line and Python take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from medseg.infer.expectations import beyond
from medseg.infer.gate.refusal import MARK, way_out
from medseg.infer.gate.scan import extent_mm, notes_on_card, refuse_scan
from medseg.infer.gate.turned import look_at_turned
from medseg.infer.predictor import Predictor
from medseg.io.files.scratch import Scratch
from medseg.models.card import ModelCard
from medseg.types import Prediction, Scan
from medseg.types.expected_result import ExpectedResult


def segment_if_suitable(
    predictor: Predictor,
    scan: Scan,
    scratch: Scratch | None = None,
    *,
    anyway: bool = False,
    on_windows: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Segment a scan; one that is not what the model is for raises `NotForThisModel`, or is marked with `anyway`."""
    card = predictor.package.card
    why = refuse_scan(scan, card)
    if why is not None and not anyway:
        raise why.error()
    prediction = predictor.segment(scan, scratch, on_windows=on_windows)
    # Copies of a scan that is none for the model would tell nothing, and may be large.
    turned, warnings = look_at_turned(predictor, scan, prediction) if why is None else (None, ())
    if turned is not None and not anyway:
        raise turned.error()
    marks = tuple(found.warning() for found in (why, turned) if found is not None)
    return replace(
        prediction,
        model=replace(prediction.model, mark=MARK if marks else ""),
        warnings=(*marks, *prediction.warnings, *warnings),
        notes=(*prediction.notes, *notes_on_card(card.input)),
        expected=replace(_expected(scan, card), anyway=anyway, overridden=marks),
    )


def _expected(scan: Scan, card: ModelCard) -> ExpectedResult:
    limits, result = card.input.expected_extent_mm, card.result
    outside = limits is not None and beyond(extent_mm(scan, card.input), *limits)
    fix = way_out(card)
    if result is None:
        return ExpectedResult(outside_extent=outside, fix=fix)
    return ExpectedResult(
        result.n_components, result.always_present, result.volume_factor, result.boundary_entropy, outside, fix
    )
