"""Registration by mutual information as SimpleITK computes it, on one thread and from one seed.

Mattes, Haynor, Vesselle, Lewellen & Eubank, PET-CT image registration in the chest using free-form deformations, IEEE
Transactions on Medical Imaging 22 (2003).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from medseg.locate.sampling import Image
from medseg.types import Geometry

SEED = 1

Points = npt.NDArray[np.float64]


def run(
    fixed: SimpleITK.Image,
    moving: SimpleITK.Image,
    start: SimpleITK.Transform,
    *,
    shrink: int,
    steps: int,
    rate: float,
    mask: SimpleITK.Image | None = None,
    share: float = 1.0,
) -> tuple[float, SimpleITK.Transform]:
    """Run one registration; negative mutual information and transform. One that fails ends where it starts, at 0."""
    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(share, SEED)  # samples are jittered; without a seed, by the clock
    method.SetInterpolator(SimpleITK.sitkLinear)
    if mask is not None:
        method.SetMetricFixedMask(mask)
    method.SetShrinkFactorsPerLevel([shrink])
    method.SetSmoothingSigmasPerLevel([0.0])
    method.SetOptimizerAsRegularStepGradientDescent(rate, 0.01, steps, 0.6, 1e-5)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:  # ITK's only sign that the images no longer overlap
        return 0.0, start
    return float(method.GetMetricValue()), _inner(found)


def _inner(transform: Any) -> Any:
    """Return the transform that ITK wraps, in its own type."""
    while True:
        transform = transform.Downcast() if hasattr(transform, "Downcast") else transform
        if not isinstance(transform, SimpleITK.CompositeTransform):
            return transform
        transform = transform.GetNthTransform(0)


def as_matrix(transform: SimpleITK.Transform) -> npt.NDArray[np.float64]:
    """Return an affine transform as a matrix of shape (4, 4)."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis in range(3):
        # 100 mm away, so that rounding counts less.
        matrix[:3, axis] = (np.array(transform.TransformPoint((np.eye(3)[axis] * 100).tolist())) - origin) / 100
    matrix[:3, 3] = origin
    return matrix


def as_itk(image: Image) -> SimpleITK.Image:
    """Return it as an image of ITK's; RAS numbers are kept for both images, which is all that registration needs."""
    spacing = np.array(image.geometry.spacing)
    u, _, v = np.linalg.svd(image.geometry.affine[:3, :3] / spacing)
    made = SimpleITK.GetImageFromArray(np.ascontiguousarray(image.array.astype(np.float32).transpose(2, 1, 0)))
    made.SetSpacing(spacing.tolist())
    made.SetOrigin(image.geometry.affine[:3, 3].tolist())
    made.SetDirection((u @ v).ravel().tolist())
    return made


def mask_image(mask: npt.NDArray[np.bool_], grid: Geometry) -> SimpleITK.Image:
    """Return where a registration looks, as an image of ITK's."""
    return SimpleITK.Cast(as_itk(Image(mask.astype(np.float32), grid)), SimpleITK.sitkUInt8)


def moved(matrix: npt.NDArray[np.float64], points: npt.ArrayLike) -> Points:
    """Return points, shape (..., 3), where a matrix puts them."""
    return np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
