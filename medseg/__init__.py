"""medseg: from a folder of scans to reviewed, measured, exported masks.

>>> import medseg
>>> model = medseg.load_model("hippocampus")  # doctest: +SKIP
>>> prediction = model.segment("scan.nii.gz")  # doctest: +SKIP
>>> prediction.labels.array.shape, prediction.labels.geometry.affine  # doctest: +SKIP

Importing medseg imports nothing heavy; each name below is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medseg.api import Model as Model
    from medseg.api import load_model as load_model
    from medseg.api import load_scan as load_scan
    from medseg.api import segment as segment
    from medseg.engine.evaluate import evaluate as evaluate
    from medseg.engine.predict import predict as predict
    from medseg.io.read import read_labels as read_labels
    from medseg.training.train import train as train

__all__ = [
    "Model",
    "__version__",
    "evaluate",
    "load_model",
    "load_scan",
    "predict",
    "read_labels",
    "segment",
    "train",
]

_WHERE = {
    "Model": "medseg.api",
    "evaluate": "medseg.engine.evaluate",
    "load_model": "medseg.api",
    "load_scan": "medseg.api",
    "segment": "medseg.api",
    "train": "medseg.training.train",
    "predict": "medseg.engine.predict",
    "read_labels": "medseg.io.read",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("medseg")
    raise AttributeError(f"module 'medseg' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
