"""Radiomics of classes and objects, computed by MIRP to the standard of the IBSI."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.errors import FormatLimitation, InputError, MissingDependency, first_line
from medseg.io.files.temporary import temporary_folder
from medseg.io.nifti import write_scan
from medseg.post.connectivity import flat_axis
from medseg.post.ibsi_features import Feature, feature_of
from medseg.types import AnyLabels, Geometry, Instances, Scan, Source
from medseg.types.overlapping import class_map

# Intensity peaks are means of a ball of 1 ml, whose radius is 6.2 mm.
MARGIN_MM = 8.0
# MIRP's word for what the values are; it rounds Hounsfield units and has a lowest bin for them and for SUV.
KINDS = {"HU": "ct", "SUV": "pet"}

log = logging.getLogger("medseg.run")


@dataclass(frozen=True)
class RadiomicsSettings:
    """How features are computed; studies of the same question must use the same.

    Parameters
    ----------
    bins : int, optional
        Gray levels between the lowest and the highest value of a region; None with `bin_width`.
    bin_width : float, optional
        Width of a gray level in HU or SUV, counted from -1000 HU or 0 SUV.
    spacing_mm : float, optional
        Grid that scan and region are resampled to, isotropic; None computes on the scan's own.
    """

    bins: int | None = 64
    bin_width: float | None = None
    spacing_mm: float | None = None


@dataclass(frozen=True)
class RegionFeature:
    """One feature of a class, or of one of its objects."""

    class_name: str
    object_id: int | None
    channel: int
    feature: Feature
    column: str  # MIRP's name, which says how matrices were made
    value: float


def check_available() -> None:
    """Raise `MissingDependency` where MIRP is not installed."""
    if find_spec("mirp") is None:
        raise MissingDependency(
            "MIRP, which computes radiomics, is not installed", fix="pip install 'medseg[radiomics]'."
        )


def radiomics(
    scan: Scan,
    labels: AnyLabels,
    instances: Instances | None = None,
    settings: RadiomicsSettings | None = None,
    *,
    classes: Sequence[str] | None = None,
) -> tuple[list[RegionFeature], list[str]]:
    """Compute the features of each class, and of each object where there are any.

    - `scan`: on the grid of the labels, which is checked.
    - `classes`: names; None for all.
    - returns: features, and a sentence on each region that has none.
    """
    check_available()
    labels.geometry.match(scan.geometry, what="the grids of the labels and the scan")
    settings = settings or RadiomicsSettings()
    if scan.geometry.is_sheared:
        raise FormatLimitation(
            "radiomics need a grid whose axes are at right angles, and the slices of this scan are tilted",
            fix="Resample the scan first.",
        )
    if settings.bin_width is not None and scan.source.value_unit not in KINDS:
        raise InputError(
            "a bin width is a number of HU or SUV, and the unit of this scan's values is not known",
            fix="Set `bins` and leave `bin_width` out.",
        )
    found: list[RegionFeature] = []
    notes = []
    with temporary_folder() as folder:
        for name, number, mask in _regions(labels, instances, classes):
            region = name if number is None else f"{name}, object {number}"
            for channel in range(scan.channels):
                try:
                    columns = _features(scan, channel, mask, settings, Path(folder))
                except Exception as error:  # MIRP's own, as of a region of one voxel
                    reason = first_line(error).split(" [")[0].rstrip(".")  # behind it MIRP names files
                    notes.append(f"{region}: no radiomics ({reason}).")
                    log.debug("%s: radiomics", region, exc_info=error)
                    break
                found += [
                    RegionFeature(name, number, channel + 1, feature, column, value)
                    for column, value in columns.items()
                    if (feature := feature_of(column)) is not None
                ]
    return found, notes


@dataclass(frozen=True, eq=False)
class _Mask:
    """A region: its voxels inside a box of the grid."""

    array: npt.NDArray[np.bool_]
    box: tuple[slice, ...]


def _regions(
    labels: AnyLabels, instances: Instances | None, classes: Sequence[str] | None
) -> Iterator[tuple[str, int | None, _Mask]]:
    """Each class with voxels, by name, and after it its objects, by id."""
    chosen = [entry for entry in labels.table if classes is None or entry.name in classes]
    boxes = [] if instances is None else ndimage.find_objects(instances.ids)
    for entry in chosen:
        one = class_map(labels, entry)
        found = ndimage.find_objects(np.asarray(one.array == entry.value, np.uint8))
        if not found:
            continue
        yield entry.name, None, _Mask(one.array[found[0]] == entry.value, found[0])
        if instances is None:
            continue
        for row in instances.rows:
            if row.class_value == entry.value and row.is_thing:
                box = boxes[row.id - 1]
                yield entry.name, row.id, _Mask(instances.ids[box] == row.id, box)


def _features(scan: Scan, channel: int, mask: _Mask, settings: RadiomicsSettings, folder: Path) -> dict[str, float]:
    """MIRP's columns of one region of one channel."""
    if not logging.root.handlers:  # else MIRP makes one that writes to stdout, where data belongs
        logging.root.addHandler(logging.NullHandler())
    from mirp import extract_features

    box, geometry = _with_margin(mask.box, scan.geometry)
    region = np.zeros(geometry.shape, np.uint8)
    inside = tuple(
        slice(small.start - large.start, small.stop - large.start) for small, large in zip(mask.box, box, strict=True)
    )
    region[inside] = mask.array
    image, place = folder / "image.nii", folder / "mask.nii"
    values = scan.array[channel][box].astype(np.float32)
    write_scan(Scan(values[None], geometry, source=Source("array")), image)
    write_scan(Scan(region[None], geometry, source=Source("array")), place)
    tables: Any = extract_features(
        image=str(image),
        mask=str(place),
        image_modality=_kind(scan),
        by_slice=flat_axis(scan.geometry.shape) is not None,
        no_approximation=True,
        new_spacing=settings.spacing_mm,
        **_gray_levels(settings),
    )
    [row] = tables[0].to_dict("records")
    return {name: float(value) for name, value in row.items() if feature_of(name) is not None and value is not None}


def _kind(scan: Scan) -> str | None:
    """MIRP's word for a kind of scan; None for values of no known unit."""
    return KINDS.get(scan.source.value_unit, "mr" if scan.modality == "MR" else None)


def _gray_levels(settings: RadiomicsSettings) -> dict[str, Any]:
    if settings.bin_width is not None:
        width = float(settings.bin_width)
        return {"base_discretisation_method": "fixed_bin_size", "base_discretisation_bin_width": width}
    if settings.bins is None:
        return {"base_discretisation_method": "none"}
    return {"base_discretisation_method": "fixed_bin_number", "base_discretisation_n_bins": settings.bins}


def _with_margin(box: tuple[slice, ...], grid: Geometry) -> tuple[tuple[slice, ...], Geometry]:
    """Box with a margin for what features look at around a region, and the geometry of that part of the grid."""
    wider = []
    for side, size, step in zip(box, grid.shape, grid.spacing, strict=True):
        margin = int(np.ceil(MARGIN_MM / step))
        wider.append(slice(max(0, side.start - margin), min(size, side.stop + margin)))
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(np.array([[side.start for side in wider]]))[0]
    return tuple(wider), replace(grid, affine=affine, shape=tuple(side.stop - side.start for side in wider))
