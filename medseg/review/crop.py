"""Cuts a box out of a scan around a point, for models that are given crops: the scan's own voxels, none resampled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.config.arguments import check_arguments
from medseg.config.bounds import BoxSize, Point, numbers_in
from medseg.errors import UsageError
from medseg.io import itk, nifti
from medseg.io.files.atomic import atomic_path
from medseg.io.files.writable import check_not_read, check_writable
from medseg.io.read import load_scan
from medseg.tracking.resolve import resolve_model
from medseg.types import Geometry, Scan, Source

WRITERS = {".nii.gz": nifti.write_scan, ".nii": nifti.write_scan, ".nrrd": itk.write_scan, ".mha": itk.write_scan}


@check_arguments
def crop(
    scan: Path | str,
    around: Point,
    out: Path | str,
    *,
    size: BoxSize | None = None,
    model: str | Path | None = None,
    allow_uneven: bool = False,
    allow_incomplete: bool = False,
) -> Path:
    """Write the part of a scan around a point, for a model that is given crops.

    Parameters
    ----------
    scan : str or Path
        A file, or a folder with one DICOM series.
    around : (float, float, float) or str
        Middle of the crop in the world, mm RAS+: to the right, to the front, up. Also ``"-24,-23,-12"``.
    out : str or Path
        File to write: .nii.gz, .nii, .nrrd or .mha.
    size : (float, float, float) or str, optional
        Size of the crop from left to right, back to front and up, mm; by default what the model was trained on.
    model : str or Path, optional
        Model that the crop is for.
    allow_uneven, allow_incomplete : bool
        As `medseg.load_scan`.

    Returns
    -------
    Path
        The file. Its voxels are the scan's own, in the order of the scan's axes; it lies where they lay.

    Raises
    ------
    UsageError
        When the point lies outside the scan, no size can be known, or the file has another ending or is the scan.
    InputError
        When the scan cannot be read.
    """
    path = Path(out)
    check_writable(path, where=f"out {path}", is_folder=False)
    check_not_read(path, [scan])
    extent = numbers_in(size) if size is not None else _extent_of(model)
    ending = next((ending for ending in WRITERS if path.name.endswith(ending)), None)
    if ending is None:
        raise UsageError("no format has this ending", where=path, fix=f"Use one of {', '.join(WRITERS)}.")
    read = load_scan(scan, allow_uneven=allow_uneven, allow_incomplete=allow_incomplete)
    check_not_read(path, read.source.files)  # of a folder
    part = crop_scan(read, numbers_in(around), extent)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as made:
        WRITERS[ending](part, made)
    return path


def crop_scan(scan: Scan, around: tuple[float, float, float], extent: tuple[float, float, float]) -> Scan:
    """Return the voxels of a scan in a box around a world point (RAS+ mm), of this size along the world's axes.

    Along the scan's own axes, so that an oblique scan gives an oblique box; cut off where the scan ends.
    """
    middle = scan.geometry.to_voxel(around)
    if (middle < -0.5).any() or (middle > np.array(scan.geometry.shape) - 0.5).any():
        low, high = _world_range(scan.geometry)
        raise UsageError(
            f"this point lies outside the scan, which covers {_point(low)} to {_point(high)}, mm RAS+",
            where=f"--around {_point(around)}",
            fix="Give a point inside, as a viewer shows it in RAS; LPS has the first two signs exchanged.",
        )
    # Of each axis of the scan, the size along the axis of the world that it lies nearest to.
    cosines = np.abs(scan.geometry.affine[:3, :3] / scan.geometry.spacing)
    sizes = np.maximum(np.round(np.array(extent)[cosines.argmax(axis=0)] / scan.geometry.spacing), 1).astype(int)
    low = np.round(middle - (sizes - 1) / 2).astype(int)
    start, stop = np.maximum(low, 0), np.minimum(low + sizes, scan.geometry.shape)
    affine = scan.geometry.affine.copy()
    affine[:3, 3] = scan.geometry.to_world(start)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    array = np.ascontiguousarray(scan.array[:, x, y, z])
    grid = Geometry(affine, (array.shape[1], array.shape[2], array.shape[3]))
    return Scan(array, grid, scan.modality, Source("array"))  # no longer the voxels of a file or series


def _extent_of(model: str | Path | None) -> tuple[float, float, float]:
    """Size of the crops that a model was trained on: the middle of their range, mm, toward the world's axes."""
    if model is None:
        raise UsageError("the size of the crop is not known", fix="Give --size, or the --model that the crop is for.")
    card = resolve_model(model).card
    if card.input.expected_extent_mm is None:
        raise UsageError("the model's card does not say how large its scans are", where=card.name, fix="Give --size.")
    low, high = (np.array(limit) for limit in card.input.expected_extent_mm)
    extent = np.empty(3)
    extent[list(card.input.axis_order)] = (low + high) / 2  # of the network's axes, back to those of the oriented scan
    letters = card.input.orientation if card.input.orientation != "stored" else "RAS"
    world = ["RL", "AP", "SI"]
    x, y, z = (float(extent[next(i for i, at in enumerate(letters) if at in pair)]) for pair in world)
    return x, y, z


def _world_range(grid: Geometry) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    world = grid.to_world(corners)
    return world.min(axis=0), world.max(axis=0)


def _point(values: object) -> str:
    return ",".join(f"{value:.4g}" for value in np.asarray(values).tolist())
