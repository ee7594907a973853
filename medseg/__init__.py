"""medseg: from a folder of scans to reviewed, measured, exported masks.

>>> import medseg
>>> model = medseg.load_model("hippocampus")  # doctest: +SKIP
>>> prediction = model.segment("scan.nii.gz")  # doctest: +SKIP
>>> prediction.volumes, prediction.labels.geometry.affine  # doctest: +SKIP

Importing medseg imports nothing heavy; each name below is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medseg.api.model import Model, load_model, load_scan, segment
    from medseg.api.prediction import Prediction
    from medseg.engine.bundle import bundle
    from medseg.engine.evaluate import evaluate
    from medseg.engine.label_next import label_next
    from medseg.engine.predict import predict
    from medseg.engine.report import report
    from medseg.errors import (
        ConfigError,
        FormatLimitation,
        GeometryMismatch,
        InputError,
        Interrupted,
        MedsegError,
        MissingDependency,
        ModelError,
        NotForThisModel,
        PipelineError,
        ResourceLimit,
        UsageError,
    )
    from medseg.evaluation.compare import compare
    from medseg.evaluation.evaluation import Evaluation
    from medseg.io.convert import convert
    from medseg.io.read import read_any_labels, read_labels
    from medseg.longitudinal.follow import follow
    from medseg.monitoring.monitor import monitor
    from medseg.review.audit import audit
    from medseg.review.call_types import ReviewPackage
    from medseg.review.crop import crop
    from medseg.review.export import export
    from medseg.review.inspect import inspect
    from medseg.training.plan import plan
    from medseg.training.run import train
    from medseg.types import Geometry, LabelMap, OverlappingLabels, Scan

    __version__: str
    review: ReviewPackage

__all__ = [
    "ConfigError",
    "Evaluation",
    "FormatLimitation",
    "Geometry",
    "GeometryMismatch",
    "InputError",
    "Interrupted",
    "LabelMap",
    "MedsegError",
    "MissingDependency",
    "Model",
    "ModelError",
    "NotForThisModel",
    "OverlappingLabels",
    "PipelineError",
    "Prediction",
    "ResourceLimit",
    "Scan",
    "UsageError",
    "__version__",
    "audit",
    "bundle",
    "compare",
    "convert",
    "crop",
    "evaluate",
    "export",
    "follow",
    "inspect",
    "label_next",
    "load_model",
    "load_scan",
    "monitor",
    "plan",
    "predict",
    "read_any_labels",
    "read_labels",
    "report",
    "review",
    "segment",
    "train",
]

if not TYPE_CHECKING:  # a type checker sees the imports above, and no name that is not there
    _MODULES = {
        "medseg.api.model": ("Model", "load_model", "load_scan", "segment"),
        "medseg.api.prediction": ("Prediction",),
        "medseg.review.audit": ("audit",),
        "medseg.longitudinal.follow": ("follow",),
        "medseg.monitoring.monitor": ("monitor",),
        "medseg.engine.bundle": ("bundle",),
        "medseg.engine.evaluate": ("evaluate",),
        "medseg.engine.label_next": ("label_next",),
        "medseg.engine.predict": ("predict",),
        "medseg.engine.report": ("report",),
        "medseg.evaluation.compare": ("compare",),
        "medseg.evaluation.evaluation": ("Evaluation",),
        "medseg.io.convert": ("convert",),
        "medseg.io.read": ("read_any_labels", "read_labels"),
        "medseg.review.crop": ("crop",),
        "medseg.review.export": ("export",),
        "medseg.review.inspect": ("inspect",),
        "medseg.training.plan": ("plan",),
        "medseg.training.run": ("train",),
        "medseg.types": ("Geometry", "LabelMap", "OverlappingLabels", "Scan"),
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("medseg")
        if name in __all__:
            from importlib import import_module

            if name == "review":  # a package, which can be called
                return import_module("medseg.review")
            return getattr(import_module(_MODULE_OF.get(name, "medseg.errors")), name)
        raise AttributeError(f"module 'medseg' has no attribute '{name}'")

    def __dir__() -> list[str]:
        return sorted(__all__)
