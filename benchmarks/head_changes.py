"""What else a T1 head may be like: held otherwise, sampled otherwise, noisier, uneven, cut, stripped, smaller, longer.

`CHANGES` names each, for scans whose axes lie nearest to RAS; `CONTRASTS` makes of a T1 head what it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medseg.locate.sampling import FWHM, Image, foreground
from medseg.types import Geometry, Scan
from medseg.types.axis_order import nearest_ras

Look = Callable[[Scan, np.ndarray], Scan]
SEED = 0


def as_ras(scan: Scan) -> Scan:
    """The scan with its axes nearest to RAS, as float32 and without what its header says of it."""
    order = nearest_ras(scan.geometry)
    return Scan(np.ascontiguousarray(order.apply(scan.array), dtype=np.float32), order.geometry(scan.geometry))


def sampled(scan: Scan, *mm: float) -> Scan:
    """The same field of view in voxels of this size along each axis, each the mean of what it covers."""
    old, shape = np.array(scan.geometry.spacing), np.array(scan.geometry.shape)
    new = np.maximum(np.round(shape * old / np.array(mm)), 1).astype(int)
    factor = shape / new
    smooth = ndimage.gaussian_filter(scan.array[0], np.sqrt(np.maximum(factor**2 - 1, 0)) / FWHM)
    array = ndimage.affine_transform(
        smooth, np.diag(factor), (factor - 1) / 2, output_shape=tuple(new), order=3, mode="nearest"
    )
    affine = scan.geometry.affine @ np.diag([*factor, 1.0])
    affine[:3, 3] = scan.geometry.to_world((factor - 1) / 2)
    return Scan(np.maximum(array, scan.array.min())[np.newaxis], Geometry(affine, tuple(int(n) for n in new)))


def about_middle(scan: Scan, matrix: np.ndarray) -> np.ndarray:
    """A linear map of the world about the middle of the scan, shape (4, 4)."""
    middle = scan.geometry.to_world((np.array(scan.geometry.shape) - 1) / 2)
    whole = np.eye(4)
    whole[:3, :3] = matrix
    whole[:3, 3] = middle - matrix @ middle
    return whole


def on_grid(scan: Scan, motion: np.ndarray, grid: Geometry) -> Scan:
    """The head after a motion, on a grid."""
    image = Image(scan.array[0], Geometry(motion @ scan.geometry.affine, scan.geometry.shape))
    return Scan(image.on(grid)[np.newaxis], grid)


def rotation(*degrees: float) -> np.ndarray:
    """By angles about the axes to the right, to the front and up."""
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def noisy(scan: Scan, fraction: float) -> Scan:
    """Rician noise, as a fraction of the brightness of the brain's brightest tissue."""
    sigma = fraction * np.percentile(scan.array[scan.array > scan.array.mean()], 75)
    noise = np.random.default_rng(SEED).normal(0, sigma, (2, *scan.array.shape)).astype(np.float32)
    return Scan(np.hypot(scan.array - min(float(scan.array.min()), 0.0) + noise[0], noise[1]), scan.geometry)


def uneven(scan: Scan, amount: float) -> Scan:
    """Brighter towards one corner and darker towards the other, by this fraction at the ends, as near a coil."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in scan.geometry.shape), indexing="ij")
    return Scan(scan.array * (1 + amount * np.sin((x + y - z) / 3 * np.pi / 2)), scan.geometry)


def gamma(scan: Scan, power: float) -> Scan:
    """Another contrast of the same order of tissues."""
    low, high = float(scan.array.min()), float(np.percentile(scan.array, 99.9))
    return Scan(((scan.array - low) / (high - low)).clip(0, 2) ** power * 1000, scan.geometry)


def long_neck(scan: Scan, mm: float) -> Scan:
    """So much more below the scan, of what its lowest slice shows."""
    more = round(mm / scan.geometry.spacing[2])
    array = np.pad(scan.array, ((0, 0), (0, 0), (0, 0), (more, 0)), mode="edge")
    affine = scan.geometry.affine.copy()
    affine[:3, 3] = scan.geometry.to_world([0, 0, -more])
    return Scan(array, Geometry(affine, array.shape[1:]))


def large_field(scan: Scan, mm: float) -> Scan:
    """So much air around the scan on every side."""
    x, y, z = (round(mm / spacing) for spacing in scan.geometry.spacing)
    array = np.pad(scan.array, ((0, 0), (x, x), (y, y), (z, z)), constant_values=scan.array.min())
    affine = scan.geometry.affine.copy()
    affine[:3, 3] = scan.geometry.to_world([-x, -y, -z])
    return Scan(array, Geometry(affine, array.shape[1:]))


def cut(scan: Scan, axis: int, mm: float, *, end: bool) -> Scan:
    """Without what lies within so many mm of the end (or start) of the head along an axis, as in a smaller scan."""
    body = foreground(scan.array[0])[1]
    inside = np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis)))
    voxels = round(mm / scan.geometry.spacing[axis])
    kept = slice(0, max(int(inside[-1]) + 1 - voxels, 1)) if end else slice(int(inside[0]) + voxels, None)
    box = tuple(kept if a == axis else slice(None) for a in range(3))
    array = scan.array[(slice(None), *box)]
    affine = scan.geometry.affine.copy()
    affine[:3, 3] = scan.geometry.to_world([s.start or 0 for s in box])
    return Scan(np.ascontiguousarray(array), Geometry(affine, array.shape[1:]))


def stripped(scan: Scan, brain: np.ndarray) -> Scan:
    """The brain alone."""
    return Scan(np.where(brain, scan.array, 0).astype(np.float32), scan.geometry)


def defaced(scan: Scan, brain: np.ndarray) -> Scan:
    """Nothing in front of and below the middle of the brain, but the brain."""
    index = np.argwhere(brain)
    y, z = np.percentile(index[:, 1], 60), np.percentile(index[:, 2], 45)
    face = np.zeros(brain.shape, bool)
    face[:, int(y) :, : int(z)] = True
    return Scan(np.where(face & ~brain, 0, scan.array).astype(np.float32), scan.geometry)


def ghosts(scan: Scan, amount: float) -> Scan:
    """Two faint copies of the head, moved along the front-to-back axis as the ghosts of a moving one are."""
    array, third = scan.array, scan.array.shape[2] // 3
    return Scan(array + amount * (np.roll(array, third, 2) + np.roll(array, -third, 2)), scan.geometry)


def in_bytes(scan: Scan) -> Scan:
    """In 256 steps between the least and the largest value."""
    low, high = float(scan.array.min()), float(scan.array.max())
    return Scan(np.round((scan.array - low) / (high - low) * 255).astype(np.float32), scan.geometry)


@dataclass(frozen=True, eq=False)
class Change:
    """First the head is turned or scaled about the middle of its scan, then the scan is changed in its place.

    - `with_voxels`: its voxels go along, so that nothing is sampled again; otherwise the grid stays.
    """

    then: Look = lambda scan, _: scan
    matrix: np.ndarray = field(default_factory=lambda: np.eye(3))
    with_voxels: bool = False

    def __call__(self, scan: Scan, brain: np.ndarray) -> tuple[Scan, np.ndarray]:
        """The changed scan, and the motion of the world."""
        motion = about_middle(scan, self.matrix)
        if self.with_voxels:
            moved = Scan(scan.array, Geometry(motion @ scan.geometry.affine, scan.geometry.shape))
        else:
            moved = scan if np.array_equal(self.matrix, np.eye(3)) else on_grid(scan, motion, scan.geometry)
        return self.then(moved, brain), motion


CHANGES = {
    "0.7 mm": Change(lambda scan, _: sampled(scan, 0.7, 0.7, 0.7)),
    "1 mm": Change(lambda scan, _: sampled(scan, 1, 1, 1)),
    "1.5 mm": Change(lambda scan, _: sampled(scan, 1.5, 1.5, 1.5)),
    "2 mm": Change(lambda scan, _: sampled(scan, 2, 2, 2)),
    "2.5 mm": Change(lambda scan, _: sampled(scan, 2.5, 2.5, 2.5)),
    "3 mm": Change(lambda scan, _: sampled(scan, 3, 3, 3)),
    "1 x 1 x 3 mm": Change(lambda scan, _: sampled(scan, 1, 1, 3)),
    "3 x 1 x 1 mm": Change(lambda scan, _: sampled(scan, 3, 1, 1)),
    "1 x 2 x 1 mm": Change(lambda scan, _: sampled(scan, 1, 2, 1)),
    "nodded 20° down": Change(matrix=rotation(-20, 0, 0)),
    "nodded 20° up": Change(matrix=rotation(20, 0, 0)),
    "leaning 15°": Change(matrix=rotation(0, 15, 0)),
    "turned 20°": Change(matrix=rotation(0, 0, 20)),
    "turned -15°, 10°, -10°": Change(matrix=rotation(-15, 10, -10)),
    "oblique voxels, 20°": Change(matrix=rotation(20, 0, 0), with_voxels=True),
    "noise of 5%": Change(lambda scan, _: noisy(scan, 0.05)),
    "noise of 10%": Change(lambda scan, _: noisy(scan, 0.1)),
    "brightness ± 30%": Change(lambda scan, _: uneven(scan, 0.3)),
    "brightness ± 50%": Change(lambda scan, _: uneven(scan, 0.5)),
    "gamma 0.6": Change(lambda scan, _: gamma(scan, 0.6)),
    "gamma 1.5": Change(lambda scan, _: gamma(scan, 1.5)),
    "neck 80 mm longer": Change(lambda scan, _: long_neck(scan, 80)),
    "40 mm of air around": Change(lambda scan, _: large_field(scan, 40)),
    "without 15 mm at its top": Change(lambda scan, _: cut(scan, 2, 15, end=True)),
    "without 20 mm of its front": Change(lambda scan, _: cut(scan, 1, 20, end=True)),
    "without 40 mm at its bottom": Change(lambda scan, _: cut(scan, 2, 40, end=False)),
    "without 10 mm at its right": Change(lambda scan, _: cut(scan, 0, 10, end=True)),
    "ghosts of 10%": Change(lambda scan, _: ghosts(scan, 0.1)),
    "times 0.01, from -5": Change(lambda scan, _: Scan(scan.array * 0.01 - 5, scan.geometry)),
    "in bytes": Change(lambda scan, _: in_bytes(scan)),
    "without skull": Change(stripped),
    "without face": Change(defaced),
    "scaled by 0.85": Change(matrix=np.eye(3) * 0.85, with_voxels=True),
    "scaled by 1.15": Change(matrix=np.eye(3) * 1.15, with_voxels=True),
    "scaled by 0.9, 1.1, 1": Change(matrix=np.diag([0.9, 1.1, 1.0]), with_voxels=True),
    "2 mm, nodded 15°, noise of 5%": Change(lambda scan, _: noisy(sampled(scan, 2, 2, 2), 0.05), rotation(15, 0, 0)),
    "1 x 1 x 3 mm, leaning 10°, brightness ± 30%": Change(
        lambda scan, _: uneven(sampled(scan, 1, 1, 3), 0.3), rotation(0, 10, 5)
    ),
}

# Brightness of air, CSF, gray matter, white matter and fat.
T2, FLAIR, PD = (0, 1, 0.55, 0.35, 0.6), (0, 0.1, 0.75, 0.6, 0.9), (0, 0.85, 1, 0.75, 0.8)
CONTRASTS = {"T2": T2, "FLAIR": FLAIR, "PD": PD}


def in_contrast(scan: Scan, brain: np.ndarray, levels: tuple[float, ...]) -> Scan:
    """The brightness of each tissue replaced, by where it lies in a T1 brain: percentiles of CSF, gray and white."""
    low, csf, gray, white, high = (
        float(scan.array.min()),
        *np.percentile(scan.array[0][brain], [3, 35, 85]),
        float(np.percentile(scan.array, 99.9)),
    )
    known = np.maximum.accumulate([low, csf, gray, white, max(high, 1.2 * white)])
    return Scan((np.interp(scan.array, known, levels) * 1000).astype(np.float32), scan.geometry)
