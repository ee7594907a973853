"""medseg in three lines of Python: load a model, segment a scan, use the labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy.typing as npt

from medseg.api.prediction import Prediction
from medseg.combine.segment import AnyPredictor, open_model, segment_scan
from medseg.config.arguments import check_arguments
from medseg.config.bounds import Device, Maps, Overlap, names_in
from medseg.config.load import build
from medseg.engine.stages.refine import Refine
from medseg.errors import UsageError
from medseg.infer.options import EngineName, InferOptions, Mirror, PrecisionName
from medseg.io.memory import ArrayLike, ItkImage, NibabelImage, scan_in_memory
from medseg.models.card import ModelCard
from medseg.models.license import check_clinical
from medseg.tracking.resolve import resolve_model
from medseg.types import Case, Scan
from medseg.types.run import PredictedCase
from medseg.types.stage import RunContext

ScanLike = str | Path | Scan | ArrayLike | NibabelImage | ItkImage


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A model ready to segment; its network is loaded at the first scan and kept.

    Parameters
    ----------
    card : ModelCard
        Classes, input, training, validation and limits of the model.
    predictor : Predictor or CompositePredictor
        What runs it.
    """

    card: ModelCard
    predictor: AnyPredictor

    def __repr__(self) -> str:
        classes = ", ".join(entry.name for entry in self.card.result_classes)
        return f"Model('{self.card.name}', version='{self.card.version}', classes=[{classes}])"

    def segment(self, scan: ScanLike, affine: npt.ArrayLike | None = None, *, anyway: bool = False) -> Prediction:
        """Segment one scan.

        Parameters
        ----------
        scan : path, Scan, ndarray, torch tensor, nibabel or SimpleITK image
            A file, a folder with one DICOM series, or an image in memory. Arrays and tensors are (X, Y, Z) or
            (C, X, Y, Z).
        affine : array_like, shape (4, 4), optional
            For an array or tensor: voxel indices to world in mm, RAS+.
        anyway : bool
            Segment a scan that is not what the model is for too, and mark the result.

        Returns
        -------
        Prediction
            Labels on the scan's own grid, cleaned up, with measured objects where the model's card says so, and
            checked: what `medseg predict` writes.

        Raises
        ------
        InputError
            When the scan cannot be read.
        ModelError
            When the scan has another number of channels than the model needs.
        NotForThisModel
            When the scan, or what the network makes of it, is not what the model is for.
        UsageError
            When an array comes without its affine, or anything else with one.
        """
        read = _as_scan(scan, affine)
        case = Case("scan", (read,))
        predicted = PredictedCase(case, segment_scan(self.predictor, read, anyway=anyway))
        return Prediction.checked(case, Refine(Refine.Options()).run(predicted, RunContext(Path(), "scan")))


@check_arguments
def load_model(
    name: str | Path,
    *,
    device: Device = "auto",
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    overlap: Overlap | None = None,
    mirror: Mirror = "auto",
    save: Maps = (),
    clinical: bool = False,
) -> Model:
    """Load a model.

    Parameters
    ----------
    name : str or Path
        A shipped or imported name such as ``"hippocampus"``, a package folder or zip such as ``"runs/mine/model"``,
        or ``"models:/NAME@alias"`` of an MLflow registry.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    engine : {"auto", "torch", "openvino", "onnx"}
        Library that computes the network.
    precision : {"auto", "float32", "bfloat16", "int8"}
        Of the network; auto is the fastest that the model's card says costs nothing that matters.
    overlap : float, optional
        Sliding-window overlap, 0 to 0.9; without it the model card's, 0.5 where it has none.
    mirror : {"auto", "none", "left-right", "all"}
        Test-time mirroring; auto does what the model's card says.
    save : str or sequence of str
        Maps that predictions keep besides the labels: ``"probabilities"``, ``"entropy"``.
    clinical : bool
        This is clinical use: refuse a model whose card does not say that its weights are for any use.

    Returns
    -------
    Model
        Ready to segment scans.

    Raises
    ------
    UsageError
        When there is no such model, or an option cannot be what was given, or with `clinical` the model may not be
        used so.
    ModelError
        When the package is damaged.

    Examples
    --------
    >>> import medseg
    >>> medseg.load_model("hippocampus")  # doctest: +ELLIPSIS
    Model('hippocampus', version='...', classes=[anterior hippocampus, posterior hippocampus])
    """
    package = resolve_model(name, option="medseg.load_model:")
    if clinical:
        check_clinical(package)
    values: dict[str, object] = {"device": device, "engine": engine, "precision": precision, "overlap": overlap}
    values |= {"mirror": mirror, **dict.fromkeys(names_in(save), True)}
    return Model(package.card, open_model(package, build(InferOptions, values, where="load_model")))


@check_arguments
def load_scan(path: str | Path, *, allow_uneven: bool = False, allow_incomplete: bool = False) -> Scan:
    """Read one scan: a file, or a folder with one DICOM series.

    Parameters
    ----------
    path : str or Path
        Where it is.
    allow_uneven : bool
        Whether missing or unevenly spaced DICOM slices may be resampled onto an even grid; rejected otherwise.
    allow_incomplete : bool
        Whether a DICOM series that lost a part may be read without it; rejected otherwise.

    Returns
    -------
    Scan
        Intensities (C, X, Y, Z) and where they lie, RAS+ mm.

    Raises
    ------
    InputError
        When it cannot be read.
    UsageError
        When the path does not exist, or holds several scans.
    """
    from medseg.io.read import load_scan as read

    return read(Path(path), allow_uneven=allow_uneven, allow_incomplete=allow_incomplete)


def segment(
    scan: ScanLike,
    model: str | Path = "hippocampus",
    affine: npt.ArrayLike | None = None,
    *,
    anyway: bool = False,
    clinical: bool = False,
) -> Prediction:
    """Segment one scan with a model by name; for more than one, load the model once with `load_model`.

    Parameters
    ----------
    scan : path, Scan, ndarray, torch tensor, nibabel or SimpleITK image
        As for `Model.segment`.
    model : str or Path
        As for `load_model`.
    affine : array_like, shape (4, 4), optional
        For an array or tensor: voxel indices to world in mm, RAS+.
    anyway : bool
        As for `Model.segment`.
    clinical : bool
        As for `load_model`.

    Returns
    -------
    Prediction
        Labels on the scan's own grid.

    Raises
    ------
    MedsegError
        As `load_model` and `Model.segment`.
    """
    return load_model(model, clinical=clinical).segment(scan, affine, anyway=anyway)


def _as_scan(scan: ScanLike, affine: npt.ArrayLike | None) -> Scan:
    if isinstance(scan, str | Path | Scan):
        if affine is not None:
            raise UsageError("an affine was given for a scan that has its own", fix="Omit the affine.")
        return scan if isinstance(scan, Scan) else load_scan(scan)
    return scan_in_memory(scan, affine)
