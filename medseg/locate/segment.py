"""Segments a scan: as it is, or around the regions that the model's locator finds in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from medseg.errors import FormatLimitation
from medseg.infer.gate.gate import segment_if_suitable
from medseg.infer.gate.refusal import MARK, Refusal, refusal
from medseg.infer.gate.scan import is_larger, refuse_larger_scan
from medseg.infer.predictor import Predictor
from medseg.io.files.scratch import Scratch
from medseg.locate.assemble import ROUNDING, assembled, windows_of
from medseg.locate.plausibility import implausible_placement, implausible_regions
from medseg.locate.regions import segment_regions
from medseg.locate.registration import register
from medseg.locate.sampling import Image
from medseg.locate.template import Template, load_template
from medseg.models.card import ModelCard
from medseg.models.locate_card import LocateCard
from medseg.models.package import load_package
from medseg.prepare.prepared import check_channels
from medseg.types import LabelMap, Prediction, Scan
from medseg.types.axis_order import nearest_ras
from medseg.types.expected_result import ExpectedResult
from medseg.types.extent import extent_unit

UNCERTAIN = "the model's regions were not found with certainty: "
NO_MAPS = {"probabilities": False, "entropy": False}


def segment_scan(
    predictor: Predictor,
    scan: Scan,
    scratch: Scratch | None = None,
    *,
    anyway: bool = False,
    on_windows: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Segment a scan with a model: the one way that the command line and Python take.

    A scan larger than the crops the model was trained on is given to the model's locator, where it has one. What is
    not for the model raises `NotForThisModel`, or is marked with `anyway`.
    """
    locate = predictor.package.card.locate
    if locate is None or not is_larger(scan, locate):
        return segment_if_suitable(predictor, scan, scratch, anyway=anyway, on_windows=on_windows)
    return _segment_located(predictor, scan, locate, anyway=anyway)


def _segment_located(predictor: Predictor, scan: Scan, locate: LocateCard, *, anyway: bool) -> Prediction:
    package, options = predictor.package, predictor.options
    if options.probabilities or options.entropy:
        raise FormatLimitation(
            "probabilities and entropy are not made of a scan in which the model first finds its regions",
            fix="Omit --save and dicom-seg-fractional, or give a crop (medseg crop).",
        )
    found: list[Refusal] = []
    _note(found, refuse_larger_scan(scan, package.card), anyway=anyway)
    check_channels(scan, package.card.input)
    _note(found, _refusal(_unsuitable_grid(scan, locate), package.card), anyway=anyway)
    order = nearest_ras(scan.geometry)
    array = np.nan_to_num(order.apply(scan.array[0]).astype(np.float32), posinf=0, neginf=0)
    image = Image(array, order.geometry(scan.geometry))
    centers = np.array([region.center_mm for region in locate.regions])
    placement = register(_template(package.folder, package.hash), image, centers)
    _note(found, _refusal(implausible_placement(placement, locate.placement), package.card, UNCERTAIN), anyway=anyway)
    crops = Predictor(package, options.model_copy(update=NO_MAPS), engine=predictor.engine)
    regions = segment_regions(crops.segment, image, placement, locate)
    _note(found, _refusal(implausible_regions(regions, placement, locate), package.card, UNCERTAIN), anyway=anyway)
    made = assembled(regions, image.geometry, package.card, locate, package.identity)
    labels = np.ascontiguousarray(order.undo(made.labels.array))
    marks = tuple(refused.warning() for refused in found)
    return replace(
        made,
        labels=LabelMap(labels, scan.geometry, made.labels.table),
        model=replace(made.model, mark=MARK if marks else ""),
        warnings=(*marks, *scan.source.warnings, *made.warnings),
        notes=(*scan.source.notes, *made.notes),
        computed=windows_of(predictor.computed, regions),
        extent=extent_unit(scan.geometry, scan.source),
        expected=ExpectedResult(anyway=anyway, overridden=marks),
    )


def _note(found: list[Refusal], refused: Refusal | None, *, anyway: bool) -> None:
    """Withhold the scan, or remember why it would have been."""
    if refused is not None and not anyway:
        raise refused.error()
    found += [] if refused is None else [refused]


def _refusal(reasons: tuple[str, ...], card: ModelCard, what: str = "") -> Refusal | None:
    return refusal(what + "; ".join(reasons), card) if reasons else None


def _unsuitable_grid(scan: Scan, locate: LocateCard) -> tuple[str, ...]:
    reasons, widest = [], max(scan.geometry.spacing)
    if widest > locate.up_to_mm * ROUNDING:
        reasons.append(f"the voxels lie {widest:.3g} mm apart, where {locate.up_to_mm:g} mm are the most")
    if scan.geometry.is_sheared:
        reasons.append("the axes of the grid are not at right angles")
    return tuple(reasons)


@lru_cache(maxsize=2)
def _template(folder: Path, _hash: str) -> Template:
    """Return the template of a package, read once for a batch."""
    locate = load_package(folder).card.locate
    assert locate is not None
    return load_template(folder, locate)
