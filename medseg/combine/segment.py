"""Opens any model and segments scans with it, composite or not: the one way that the command line and Python take."""

from __future__ import annotations

from collections.abc import Callable

from medseg.combine.predictor import CompositePredictor
from medseg.infer.engines.select import ProgressCallback
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.files.scratch import Scratch
from medseg.locate import segment as located
from medseg.models.package import ModelPackage
from medseg.types import Prediction, Scan

AnyPredictor = Predictor | CompositePredictor


def open_model(
    package: ModelPackage, options: InferOptions | None = None, *, progress: ProgressCallback | None = None
) -> AnyPredictor:
    """Return what runs a package."""
    if package.card.composite is not None:
        return CompositePredictor(package, options, progress=progress)
    return Predictor(package, options, progress=progress)


def segment_scan(
    predictor: AnyPredictor,
    scan: Scan,
    scratch: Scratch | None = None,
    *,
    anyway: bool = False,
    on_windows: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Segment a scan; what is not for the model raises `NotForThisModel`, or is marked with `anyway`."""
    if isinstance(predictor, CompositePredictor):
        return predictor.segment(scan, anyway=anyway, on_windows=on_windows)
    return located.segment_scan(predictor, scan, scratch, anyway=anyway, on_windows=on_windows)
