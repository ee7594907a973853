"""medseg in three lines of Python: load a model, segment a scan, use the labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.models.card import ModelCard
from medseg.tracking.resolve import resolve_model
from medseg.types import Geometry, Prediction, Scan

if TYPE_CHECKING:
    from medseg.infer.predictor import Predictor

__all__ = ["Model", "load_model", "load_scan", "segment"]


@dataclass(frozen=True, eq=False)
class Model:
    """A model ready to segment; the network is loaded at the first scan and kept.

    Parameters
    ----------
    card : ModelCard
        What the model is, knows and must not be used for.
    predictor : Predictor
        What runs it.
    """

    card: ModelCard
    predictor: Predictor

    def segment(self, scan: str | Path | Scan | npt.NDArray[Any], affine: npt.ArrayLike | None = None) -> Prediction:
        """Segment one scan.

        Parameters
        ----------
        scan : path, Scan or ndarray
            A file, a folder with one DICOM series, a `Scan`, or an array (X, Y, Z) or (C, X, Y, Z).
        affine : array_like, shape (4, 4), optional
            For an array: voxel indices to world mm, RAS+.

        Returns
        -------
        Prediction
            Labels on the scan's own grid, cleaned up and with measured objects where the model's card says so: what
            `medseg predict` writes.

        Raises
        ------
        InputError
            When the scan cannot be read.
        ModelError
            When it cannot be what the model needs.
        UsageError
            When an array comes without affine, or anything else with one.
        """
        from medseg.engine.stages.refine import follow
        from medseg.post.measure import measure
        from medseg.types.stage import RunContext

        read = _as_scan(scan, affine)
        prediction = follow(self.predictor.segment(read), RunContext(Path(), "scan"))
        if prediction.instances is None:
            return prediction
        return replace(prediction, instances=measure(prediction.instances, read))


def load_model(name_or_path: str | Path, **options: Any) -> Model:
    """Load a model by shipped name or package path.

    Parameters
    ----------
    name_or_path : str or Path
        For instance ``"hippocampus"`` or ``"runs/mine/model"``.
    **options
        As the options of `medseg predict`: device, engine, overlap, mirror, probabilities.

    Raises
    ------
    ModelError
        When there is no such model.
    ConfigError
        For an unknown option.
    """
    from medseg.config.load import build
    from medseg.infer.options import InferOptions
    from medseg.infer.predictor import Predictor

    package = resolve_model(name_or_path)
    return Model(package.card, Predictor(package, build(InferOptions, options, where="load_model")))


def load_scan(path: str | Path, *, allow_uneven: bool = False) -> Scan:
    """Read one scan: a file, or a folder with one DICOM series.

    Parameters
    ----------
    path : str or Path
        Where it is.
    allow_uneven : bool
        Whether missing or unevenly spaced DICOM slices may be resampled onto an even grid; refused otherwise.

    Raises
    ------
    InputError
        When it cannot be read, or the folder holds more than one scan.
    """
    from medseg.io.read import load_scan as read

    return read(Path(path), allow_uneven=allow_uneven)


def segment(
    scan: str | Path | Scan | npt.NDArray[Any],
    model: str | Path = "hippocampus",
    affine: npt.ArrayLike | None = None,
    **options: Any,
) -> Prediction:
    """Segment one scan with a model by name; load the model once with `load_model` for more than one."""
    return load_model(model, **options).segment(scan, affine)


def _as_scan(scan: str | Path | Scan | npt.NDArray[Any], affine: npt.ArrayLike | None) -> Scan:
    if isinstance(scan, np.ndarray):
        if affine is None:
            raise UsageError(
                "an array says nothing of where its voxels lie",
                fix="Give its affine too: segment(array, affine), voxel indices to world mm, RAS+.",
            )
        array = scan if scan.ndim == 4 else scan[None]
        return Scan(array, Geometry(np.asarray(affine, dtype=np.float64), array.shape[1:]))
    if affine is not None:
        raise UsageError("an affine goes with an array; a file has its own")
    return scan if isinstance(scan, Scan) else load_scan(scan)
