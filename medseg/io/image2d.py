"""2D images without a patient: PNG, JPEG and TIFF as scans one voxel thick, stacks of TIFF pages as volumes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import ExifTags, Image

from medseg.errors import InputError
from medseg.io.files.limits import check_size
from medseg.io.intensities import as_intensities, as_labels
from medseg.io.tiff_layout import SLICES, check_axes, pixel_size, resolution_per_cm
from medseg.isolation.apart import apart
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelMap, LabelTable
from medseg.types.scan import Scan, Source

# It logs every tag it does not understand; what matters of them becomes one error.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


MOST_PAGES = 20_000  # of a TIFF
STRIP = 1 << 24  # pixels that are taken from PIL at a time
NO_DISTANCE = "The file does not say how far its slices are apart; the size of its pixels was taken"
UNUSED = "The file has no position; its resolution, {:.4g} pixels per cm, was not used: one pixel was taken as 1 mm."
NO_PLACE = "The file has no pixel size and no position; one pixel was taken as 1 mm."


def look(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Check a header without reading pixels; say what it says, and list the one file."""
    height, width, pages, channels = _size(path)
    thick = f"x{pages}" if pages > 1 else ""
    return f"2D image, {width}x{height}{thick}, {channels} channel{'s' if channels > 1 else ''}", (path,)


@apart
def time_points(path: Path) -> int:
    """Number of time points of a TIFF that is else a plane or channels; 0 of any other file."""
    try:
        if not _is_tiff(path):
            return 0
        with tifffile.TiffFile(path) as tiff:
            series = _series(tiff, path)[0]
            sizes = dict(zip(series.axes, series.shape, strict=True))
    except Exception:  # reading it says what is wrong
        return 0
    return sizes.get("T", 1) if sizes.get("T", 1) > 1 and all(sizes.get(axis, 1) == 1 for axis in SLICES) else 0


@apart
def read_scan(path: Path, *, time_as_slices: bool = False) -> Scan:
    """Read a 2D image: x along columns, y down rows, and z through pages, one voxel for a single page.

    - `time_as_slices`: whether pages that are time points are read as slices; they are an error otherwise.
    """
    array, notes = _pixels(path, time_as_slices=time_as_slices)
    array = as_intensities(array, where=path)
    geometry, warnings, about = _geometry(array, path)
    return Scan(array, geometry, None, Source("image2d", (path,), warnings=warnings, notes=(about, *notes)))


@apart
def read_labels(path: Path, *, time_as_slices: bool = False) -> LabelMap:
    """Read a 2D image of class values or of numbered objects, 8 or 16 bits deep; pages as `read_scan` takes them."""
    array, _ = _pixels(path, raw_palette=True, time_as_slices=time_as_slices)
    if len(array) == 3 and (array[1:] == array[0]).all():
        array = array[:1]  # gray, saved as red, green and blue
    if len(array) > 1:
        raise InputError(
            f"a label map has one value for each pixel, not {len(array)}",
            where=path,
            fix="Save it as a gray image of class values, 8 or 16 bits deep; of a dataset, name its 'colors'.",
        )
    labels = as_labels(array[0], where=path)
    geometry, _, _ = _geometry(array, path)
    return LabelMap(labels, geometry, LabelTable.unnamed(np.unique(labels)))


def has_pixel_size(geometry: Geometry) -> bool:
    """Whether the grid of a 2D image is more than its shape."""
    return not np.array_equal(geometry.affine, np.eye(4))


def with_size_of(geometry: Geometry, labels: LabelMap, path: Path) -> LabelMap:
    """Labels on the grid of their image, where their own file is a 2D image that has none but its shape."""
    if has_pixel_size(labels.geometry) or labels.geometry.shape != geometry.shape or not _is_image2d(path):
        return labels
    return LabelMap(labels.array, geometry, labels.table)


def _is_image2d(path: Path) -> bool:
    from medseg.io.recognize import recognize

    return recognize(path).kind == "image2d"


def _geometry(array: npt.NDArray[Any], path: Path) -> tuple[Geometry, tuple[str, ...], str]:
    """Grid of an image, warnings, and a note of what is known of its size."""
    shape = (array.shape[1], array.shape[2], array.shape[3])
    size = resolution = None
    if _is_tiff(path):
        with tifffile.TiffFile(path) as tiff:
            size, resolution = pixel_size(tiff), resolution_per_cm(tiff)
    if size is None:
        return Geometry(np.eye(4), shape), (), UNUSED.format(resolution) if resolution else NO_PLACE
    x, y, z = size
    unknown = z is None and shape[2] > 1
    geometry = Geometry(np.diag([x, y, x if z is None else z, 1.0]), shape)
    about = f"The file has no position; its pixels are {' x '.join(f'{s:.4g}' for s in geometry.spacing)} mm."
    return geometry, ((NO_DISTANCE,) if unknown else ()), about


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image without PIL's own limit, which is lower than what this machine may hold; ours is in `_size`."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _size(path: Path, *, time_as_slices: bool = False) -> tuple[int, int, int, int]:
    """Height, width, pages and channels by the header, checked against memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if _is_tiff(path):
                with tifffile.TiffFile(path) as tiff:
                    series = _series(tiff, path)[0]
                    if len(tiff.series) > 1:
                        raise InputError("its pages differ in size", where=path, fix="Save each page as a file.")
                    sizes = dict(zip(series.axes, series.shape, strict=True))
                    check_axes(sizes, path, time_as_slices=time_as_slices)
                    item = series.dtype.itemsize
                height, width, channels = sizes.pop("Y"), sizes.pop("X"), sizes.pop("S", 1) * sizes.pop("C", 1)
                pages = int(np.prod(list(sizes.values())))
            else:
                with _opened(path) as image:
                    width, height = image.size
                    pages, channels, item = 1, len(image.getbands()), 4
    except InputError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise InputError(
            f"it cannot be read as an image ({' '.join(str(error).split())[:120]})",
            where=path,
            fix="Save it again.",
        ) from error
    check_size((height, width, pages, channels), item, where=path)
    return height, width, pages, channels


def _pixels(
    path: Path, *, raw_palette: bool = False, time_as_slices: bool = False
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Pixels as (C, X, Y, Z), and notes."""
    _size(path, time_as_slices=time_as_slices)
    try:
        if _is_tiff(path):
            return _tiff(path), ()
        with warnings.catch_warnings(), _opened(path) as image:
            warnings.simplefilter("ignore")
            if image.format == "GIF" and image.n_frames > 1:
                raise InputError(
                    f"it has {image.n_frames} frames", where=path, fix="Save each as an image, or all as a TIFF."
                )
            image.load()
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            array = _bands(image, path, raw_palette)
    except InputError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise InputError(
            f"its pixels cannot be decoded ({' '.join(str(error).split())[:120]})", where=path, fix="Save it again."
        ) from error
    notes = ("Viewers rotate this image as its EXIF data say; the pixels were read as stored.",) if turned else ()
    return array.transpose(2, 1, 0)[..., np.newaxis], notes


def _bands(image: Any, path: Path, raw_palette: bool) -> npt.NDArray[Any]:
    """Rows, columns, channels of a PIL image; palettes become colors unless they index labels."""
    if image.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "I", "I;16", "I;16B", "I;16L", "F"):
        raise InputError(f"its colors are {image.mode}", where=path, fix="Save it as gray or RGB.")
    width, height = image.size
    rows = max(1, STRIP // max(1, width))
    array: npt.NDArray[Any] | None = None
    # Piece by piece: PIL copies what it gives several times over.
    for top in range(0, height, rows):
        strip = _strip(image.crop((0, top, width, min(height, top + rows))), path, raw_palette)
        if array is None:
            array = np.empty((height, *strip.shape[1:]), strip.dtype)
        array[top : top + rows] = strip
    assert array is not None
    if image.mode == "I" and array.min() >= 0 and array.max() <= 65535:
        array = array.astype(np.uint16)  # how older PIL gives 16-bit PNG
    return array


def _strip(image: Any, path: Path, raw_palette: bool) -> npt.NDArray[Any]:
    if image.mode == "P" and not raw_palette:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    array = np.asarray(image)
    if image.mode == "1":
        array = array.astype(np.uint8)
    if image.mode in ("LA", "RGBA", "PA"):
        if (array[..., -1] != 255).any():
            raise InputError(
                "part of it is transparent", where=path, fix="Save it without transparency on a background you choose."
            )
        array = array[..., :-1]
    return array.reshape(*array.shape[:2], -1)


def _series(tiff: tifffile.TiffFile, path: Path) -> list[tifffile.TiffPageSeries]:
    """Return what the pages are of; each is parsed, and tiny ones would take minutes."""
    if len(tiff.pages) > MOST_PAGES:
        raise InputError(f"it has {len(tiff.pages):,} pages", where=path, fix="Save it as NIfTI, NRRD or MetaImage.")
    found: list[tifffile.TiffPageSeries] = tiff.series
    return found


def _tiff(path: Path) -> npt.NDArray[Any]:
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        axes, array = series.axes, series.asarray()
        alpha = len(getattr(tiff.pages[0], "extrasamples", ())) > 0
    channel = [n for n, a in enumerate(axes) if a in "SC"]
    pages = [n for n, a in enumerate(axes) if a not in "SCYX"]
    array = array.transpose(*channel, axes.index("X"), axes.index("Y"), *pages)
    x, y = (series.shape[axes.index(a)] for a in "XY")
    array = array.reshape(-1, x, y, int(np.prod([series.shape[n] for n in pages])))
    if alpha:
        if (array[-1] != np.iinfo(array.dtype).max).any():
            raise InputError(
                "part of it is transparent", where=path, fix="Save it without transparency on a background you choose."
            )
        array = array[:-1]
    return array.astype(array.dtype.newbyteorder("="), copy=False)
