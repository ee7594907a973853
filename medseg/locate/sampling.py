"""Images on other grids: coarse copies for registration, and what a grid covers of a larger one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.types import Geometry

# Of a Gaussian, its full width at half maximum by its standard deviation.
FWHM = 2.355

Voxels = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Image:
    """One channel on its grid: a (X, Y, Z) array of float32 and where its voxels lie, RAS+ mm."""

    array: Voxels
    geometry: Geometry

    def on(
        self, grid: Geometry, *, order: Literal[0, 1, 3] = 1, outside: float | None = None
    ) -> npt.NDArray[np.float32]:
        """Sample it on another grid: `order` 0 nearest, 1 linear, 3 cubic; `outside`: its smallest value by default."""
        to_own = np.linalg.inv(self.geometry.affine) @ grid.affine
        value = float(self.array.min()) if outside is None else outside
        sampled: Voxels = ndimage.affine_transform(
            self.array,
            to_own[:3, :3],
            to_own[:3, 3],
            output_shape=grid.shape,
            output=np.float32,
            order=order,
            mode="constant",
            cval=value,
        )
        return sampled

    def part(self, box: tuple[slice, slice, slice]) -> Image:
        """Return a box of it."""
        return Image(self.array[box], part_of(self.geometry, box))


def part_of(grid: Geometry, box: tuple[slice, slice, slice]) -> Geometry:
    """Grid of a box of voxels."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world([s.start for s in box])
    x, y, z = (s.stop - s.start for s in box)
    return Geometry(affine, (x, y, z))


def covered(inner: Geometry, grid: Geometry, margin: int) -> tuple[slice, slice, slice]:
    """Box of the voxels of a grid that another one covers, with a margin; at least two voxels along each axis."""
    corners = np.array(np.meshgrid(*[(-1, n) for n in inner.shape])).reshape(3, -1).T
    at = grid.to_voxel(inner.to_world(corners))
    size = np.array(grid.shape)
    low = np.clip(np.floor(at.min(axis=0)).astype(int) - margin, 0, np.maximum(size - 2, 0))
    high = np.minimum(np.maximum(np.ceil(at.max(axis=0)).astype(int) + margin + 1, low + 2), size)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def coarse(image: Image, mm: float) -> Image:
    """Smooth an image and sample it with this spacing along all of its own axes."""
    spacing = np.array(image.geometry.spacing)
    smooth = ndimage.gaussian_filter(image.array, np.sqrt(np.maximum(mm**2 - spacing**2, 0)) / spacing / FWHM)
    x, y, z = (int(n) for n in np.maximum(np.ceil(np.array(image.geometry.shape) * spacing / mm), 1))
    affine = image.geometry.affine.copy()
    affine[:3, :3] *= mm / spacing
    # The outer edges of both grids coincide, not their first voxels' middles.
    affine[:3, 3] = image.geometry.to_world((mm / spacing - 1) / 2)
    grid = Geometry(affine, (x, y, z))
    return Image(Image(smooth, image.geometry).on(grid), grid)


def foreground(array: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Scale intensities to 0 to 1 between their percentiles, and find the largest component that is not air."""
    from skimage.filters import threshold_otsu

    low, high = np.percentile(array, [1, 99.5])
    scaled = np.clip((array - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
    # Half of Otsu's threshold: skin and fat of some sequences are hardly brighter than air.
    level = 0.5 * float(threshold_otsu(scaled, nbins=128)) if np.ptp(scaled) else 1.0
    body = ndimage.binary_opening(scaled > level)
    return scaled, largest_component(body)


def largest_component(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the largest connected component (faces touch); an empty mask stays one."""
    components, n = ndimage.label(mask)
    largest: npt.NDArray[np.bool_] = components == 1 + np.argmax(np.bincount(components.ravel())[1:]) if n else mask
    return largest
