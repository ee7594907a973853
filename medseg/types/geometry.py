"""Where the voxels of an array lie in the patient."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryMismatch, InputError, UsageError

# A grid matches another when no voxel of either lies further than this fraction of the finest spacing from its twin:
# far below anything visible, far above what float32 headers and DICOM decimal strings lose.
TOLERANCE = 0.01
# In mm. No microscope has smaller voxels, no scanner larger ones, and nobody's origin lies further away: the numbers
# of damaged headers do, and float32 files cannot hold them.
SMALLEST_VOXEL, LARGEST_VOXEL, FURTHEST = 1e-8, 1e5, 1e8


@dataclass(frozen=True, eq=False)
class Geometry:
    """A voxel grid in world space.

    Parameters
    ----------
    affine : array_like, shape (4, 4)
        Maps voxel indices (i, j, k, 1), at voxel centers, to world coordinates in mm, RAS+: x grows towards the
        patient's right, y towards anterior, z towards superior, as in nibabel.
    shape : tuple of int
        Number of voxels along each array axis (X, Y, Z).

    Raises
    ------
    InputError
        When the affine is not finite or not invertible, its numbers are none of a scan, or a dimension is not positive.

    Examples
    --------
    >>> Geometry(np.diag([0.5, 0.5, 3.0, 1.0]), (256, 256, 24))
    Geometry(shape=(256, 256, 24), spacing=(0.5, 0.5, 3) mm, orientation='RAS')
    """

    affine: npt.NDArray[np.float64]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        affine, shape = _numbers(self.affine), _whole(self.shape)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], [0, 0, 0, 1]):
            raise InputError(
                "the affine is not a finite 4x4 matrix whose last row is 0 0 0 1",
                fix="Give 4x4 numbers.",
            )
        largest = np.abs(affine[:3, :3]).max()  # whose square may be too large for a number
        spacing = np.linalg.norm(affine[:3, :3], axis=0) if largest <= LARGEST_VOXEL else np.full(3, largest)
        if 0 < spacing.min() < SMALLEST_VOXEL or spacing.max() > LARGEST_VOXEL:
            raise InputError(
                f"its voxels would be {spacing.min():.4g} to {spacing.max():.4g} mm large",
                fix=f"Give sizes from {SMALLEST_VOXEL:g} to {LARGEST_VOXEL:g} mm.",
            )
        if (far := np.abs(affine[:3, 3]).max()) > FURTHEST:
            raise InputError(f"its origin would lie {far:.4g} mm away", fix=f"Give at most {FURTHEST:g} mm.")
        if spacing.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / np.where(spacing > 0, spacing, 1))) < 1e-4:
            raise InputError(
                "the affine cannot be inverted: two voxel axes point the same way or one has no length",
                fix="Give a 4x4 matrix whose first three columns are the steps along three different directions.",
            )
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"a grid needs three positive dimensions, not {shape}", fix="Give the shape as (X, Y, Z).")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    def __repr__(self) -> str:
        return f"Geometry({self.summary})"

    @property
    def summary(self) -> str:
        """Shape, spacing and orientation in one line, for the representations of what lies on the grid."""
        spacing = ", ".join(f"{step:.4g}" for step in self.spacing)
        return f"shape={self.shape}, spacing=({spacing}) mm, orientation='{self.orientation}'"

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance in mm between neighboring voxel centers along each array axis."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> str:
        """The world direction each array axis is nearest to, for instance ``"RAS"`` or ``"LPS"``.

        The letters name the end the axis runs *towards*, as `nibabel.aff2axcodes` does.
        """
        import nibabel as nib

        return "".join(str(code) for code in nib.aff2axcodes(self.affine))

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def is_sheared(self) -> bool:
        """Whether the array axes are not at right angles, as in a tilted-gantry CT."""
        axes = self.affine[:3, :3] / np.asarray(self.spacing)
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3)

    @property
    def voxel_count(self) -> int:
        """Number of voxels in the grid."""
        x, y, z = self.shape
        return x * y * z

    def to_world(self, indices: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """World coordinates, mm RAS+, of voxel indices; both of shape (..., 3)."""
        world: npt.NDArray[np.float64] = (
            np.asarray(indices, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]
        )
        return world

    def to_voxel(self, world: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Fractional voxel indices of world coordinates in mm RAS+; both of shape (..., 3)."""
        inverse = np.linalg.inv(self.affine)
        voxel: npt.NDArray[np.float64] = np.asarray(world, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
        return voxel

    def difference(self, other: Geometry) -> float:
        """Largest distance in mm between equal corners of the two grids; infinite where their shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"), axis=-1).reshape(-1, 3)
        return float(np.linalg.norm(self.to_world(corners) - other.to_world(corners), axis=1).max())

    def matches(self, other: Geometry) -> bool:
        """Whether the two grids have the same shape and put every voxel in the same place."""
        return self.difference(other) <= TOLERANCE * min(self.spacing)

    def match(self, other: Geometry, *, what: str = "the two grids", where: object = None) -> None:
        """Raise unless the two grids are the same.

        Raises
        ------
        GeometryMismatch
            Saying how they differ and how to bring one onto the other.
        """
        given: object = other
        if not isinstance(given, Geometry):
            what = f"a grid can be compared with a Geometry only, not with {type(given).__name__}"
            raise UsageError(what, fix="Give for instance labels.geometry.")
        if self.matches(other):
            return
        if self.shape != other.shape:
            how = f"shapes {self.shape} and {other.shape}"
        else:
            how = f"corners up to {self.difference(other):.3g} mm apart (spacing {_short(self.spacing)} mm)"
        raise GeometryMismatch(
            f"{what} do not match: {how}",
            where=where,
            fix="Resample one onto the other, or pair the right files.",
        )


def _numbers(affine: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        numbers = np.array(affine)
        if not np.iscomplexobj(numbers):
            return numbers.astype(np.float64)
    except (TypeError, ValueError):  # text, or rows of several lengths
        pass
    raise InputError("the affine does not consist of real numbers", fix="Give a 4x4 matrix.")


def _whole(shape: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(operator.index(n) for n in shape)
    except TypeError:
        raise InputError(f"a shape must be whole numbers, not {shape!r}", fix="Give the shape as (X, Y, Z).") from None


def _short(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{n:.4g}" for n in numbers)
