"""Augments a batch on whatever device it lies: nnU-Net's kinds and ranges, each patch by its own draw.

Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z), supplement 4. What happens to a sample is a function of
seed and its number alone. Draws are made on the CPU, so that they are the same on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medseg.training.augment_config import AugmentConfig
from medseg.training.samples.atrophy import Atrophy, thin
from medseg.training.samples.spatial import PatchGrid, Spatial, Triple, apply_spatial, region_of

AXES = {"x": 0, "y": 1, "z": 2}


def generator_of(seed: int, number: int, stream: int) -> torch.Generator:
    """CPU generator: a function of the run's seed, a sample's number, and what draws for it (`stream`), alone."""
    mixed = (seed * 1_000_003 + number) * 8 + stream
    return torch.Generator().manual_seed((mixed * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**63)


@dataclass(frozen=True)
class Augmentation:
    """Turns regions into patches, moved, mirrored and with other intensities.

    Parameters
    ----------
    config : AugmentConfig
        Probabilities and ranges.
    patch : tuple of int
        Size of the result along x, y, z.
    spacing : tuple of float
        mm along x, y, z: rotations turn the patient, not the array.
    classes : int
        Background included.
    seed : int
        Of the run.
    intensities : int, optional
        How many channels hold intensities; those after them are moved with the patch and otherwise left alone.
    """

    config: AugmentConfig
    patch: tuple[int, int, int]
    spacing: tuple[float, float, float]
    classes: int
    seed: int
    intensities: int | None = None

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Augment a batch of regions (N, C, X, Y, Z), at least as large as a patch, and their labels (N, X, Y, Z).

        What happens to a sample is a function of the seed and its number in the run; `first` is that of the first.
        Returns patches (N, C, *patch) and their labels (N, *patch), or with ``soft_labels`` the fraction of each class
        in each voxel (N, classes, *patch).
        """
        draws = [generator_of(self.seed, first + k, 0) for k in range(len(images))]
        spatial = [self._draw_spatial(draw) for draw in draws]
        grid = PatchGrid(self.patch, self.classes, self.spacing, soft=self.config.soft_labels)
        images, labels = apply_spatial(images, labels, spatial, grid)
        scans, others = images[:, : self.intensities], images[:, self.intensities or images.shape[1] :]
        if self.config.atrophy:
            thinned = [self._thin(*one) for one in zip(scans, labels, draws, strict=True)]
            scans, labels = (torch.stack(parts) for parts in zip(*thinned, strict=True))
        scans = torch.stack([self._intensity(scan, draw) for scan, draw in zip(scans, draws, strict=True)])
        return torch.cat([scans, others], 1) if others.shape[1] else scans, labels

    def region_of(self, number: int) -> Triple:
        """Size of the region that a sample's patch draws on, by its number in the run."""
        return region_of(self._draw_spatial(generator_of(self.seed, number, 0)), self.patch, self.spacing)

    def _draw_spatial(self, draw: torch.Generator) -> Spatial:
        config = self.config
        turned = [n > 1 for n in self.patch]
        # Thick slices are turned in their own plane only: out of it a rotation would invent what lies between them.
        coarse = max(self.spacing) > 3 * min(self.spacing)
        angles = [0.0, 0.0, 0.0]
        if _happens(draw, config.rotation):
            for axis in range(3):
                others = [k for k in range(3) if k != axis]
                if not all(turned[k] for k in others):
                    continue
                if coarse and axis != max(range(3), key=lambda k: self.spacing[k]):
                    continue
                angles[axis] = _between(draw, (-config.rotation_degrees, config.rotation_degrees))
        zoom = _between(draw, config.scaling_range) if _happens(draw, config.scaling) else 1.0
        shift = [0.0, 0.0, 0.0]
        if _happens(draw, config.translation):
            most = config.translation_fraction
            shift = [_between(draw, (-most, most)) * n if n > 1 else 0.0 for n in self.patch]
        flips = tuple(AXES[axis] in [AXES[a] for a in config.flip] and _happens(draw, 0.5) for axis in AXES)
        elastic = self._draw_elastic(draw) if _happens(draw, config.elastic) else None
        return Spatial((angles[0], angles[1], angles[2]), zoom, (shift[0], shift[1], shift[2]), flips, elastic)

    def _draw_elastic(self, draw: torch.Generator) -> Tensor:
        """Displacements at control points, in mm; none along axes of one voxel."""
        far = _between(draw, self.config.elastic_mm)
        points = [
            max(2, round(n * mm / self.config.elastic_spacing) + 1) if n > 1 else 1
            for n, mm in zip(self.patch, self.spacing, strict=True)
        ]
        control = (2 * torch.rand(3, *points, generator=draw) - 1) * far
        return control * torch.tensor([float(n > 1) for n in self.patch])[:, None, None, None]

    def _thin(self, image: Tensor, labels: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """One patch, (C, X, Y, Z), and its labels, with the fluid in a random direction."""
        if not _happens(draw, self.config.atrophy):
            return image, labels
        direction = F.normalize(torch.randn(3, generator=draw), dim=0) / torch.tensor(self.spacing)
        far = (_between(draw, limits) for limits in (self.config.atrophy_mm, self.config.atrophy_fluid_mm))
        lost, wide = (
            [round(step) if n > 1 else 0 for step, n in zip((direction * mm).tolist(), self.patch, strict=True)]
            for mm in far
        )
        atrophy = Atrophy((lost[0], lost[1], lost[2]), (wide[0], wide[1], wide[2]))
        return thin(image, labels, atrophy, torch.randn(image.shape, generator=draw), self.classes)

    def _intensity(self, image: Tensor, draw: torch.Generator) -> Tensor:
        """One patch, ``(C, X, Y, Z)``, in nnU-Net's order."""
        config = self.config
        if _happens(draw, config.noise):
            deviation = _between(draw, config.noise_variance) ** 0.5
            noise = torch.randn(image.shape, generator=draw)
            image = image + deviation * noise.to(image.device)
        if _happens(draw, config.blur):
            image = _blur(image, _between(draw, config.blur_sigma))
        if _happens(draw, config.brightness):
            image = image * _between(draw, config.brightness_range)
        if _happens(draw, config.contrast):
            image = _contrast(image, _between(draw, config.contrast_range))
        if _happens(draw, config.low_resolution):
            image = _low_resolution(image, _between(draw, config.low_resolution_zoom))
        if _happens(draw, config.gamma_inverted):
            image = -_gamma(-image, _between(draw, config.gamma_range))
        if _happens(draw, config.gamma):
            image = _gamma(image, _between(draw, config.gamma_range))
        recolors = config.gray or config.color or config.invert
        return self._recolor(image, draw) if recolors else image

    def _recolor(self, image: Tensor, draw: torch.Generator) -> Tensor:
        """One patch of several channels, which differ from source to source in polarity and balance."""
        config = self.config
        channels = image.shape[0]
        if _happens(draw, config.gray):
            image = _mix(image, torch.rand(channels, generator=draw))
        if _happens(draw, config.color):
            scale = [_between(draw, config.color_scale) for _ in range(channels)]
            shift = [_between(draw, config.color_shift) for _ in range(channels)]
            image = image * _each(scale, image) + _each(shift, image)
        if _happens(draw, config.invert):
            image = -image
        return image


def _happens(draw: torch.Generator, probability: float) -> bool:
    return float(torch.rand((), generator=draw)) < probability


def _between(draw: torch.Generator, limits: tuple[float, float]) -> float:
    low, high = limits
    return low + (high - low) * float(torch.rand((), generator=draw))


def _each(values: Sequence[float] | Tensor, image: Tensor) -> Tensor:
    """One number a channel, shaped to broadcast over an image ``(C, X, Y, Z)``."""
    return torch.as_tensor(values, dtype=image.dtype, device=image.device)[:, None, None, None]


def _mix(image: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of all channels, in every channel."""
    fractions = _each(weights / weights.sum().clamp(min=1e-6), image)
    return (image * fractions).sum(0, keepdim=True).expand_as(image)


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur along every axis longer than one voxel, sigma in voxels."""
    radius = max(1, round(3 * sigma))
    places = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights = weights / weights.sum()
    result = image[:, None]
    for axis in range(3):
        if image.shape[1 + axis] <= radius:
            continue
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = len(weights)
        padding = [0, 0, 0, 0, 0, 0]
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = radius
        result = F.conv3d(F.pad(result, padding, mode="replicate"), weights.reshape(shape))
    return result[:, 0]


def _contrast(image: Tensor, factor: float) -> Tensor:
    """Stretch about the mean, each channel kept within the range it had."""
    dims = (1, 2, 3)
    mean, low, high = image.mean(dims, keepdim=True), image.amin(dims, keepdim=True), image.amax(dims, keepdim=True)
    return ((image - mean) * factor + mean).clamp(low, high)


def _low_resolution(image: Tensor, zoom: float) -> Tensor:
    """Sample coarser by nearest neighbor and back by linear interpolation."""
    size = image.shape[1:]
    small = [max(1, round(n * zoom)) if n > 1 else 1 for n in size]
    coarse = F.interpolate(image[None], size=small, mode="nearest-exact")
    return F.interpolate(coarse, size=size, mode="trilinear", align_corners=False)[0]


def _gamma(image: Tensor, exponent: float) -> Tensor:
    """Gamma correction between each channel's extremes, mean and standard deviation kept."""
    dims = (1, 2, 3)
    mean, deviation = image.mean(dims, keepdim=True), image.std(dims, keepdim=True)
    low = image.amin(dims, keepdim=True)
    span = (image.amax(dims, keepdim=True) - low).clamp(min=1e-7)
    curved: Tensor = ((image - low) / span).clamp(min=0).pow(exponent) * span + low
    return (curved - curved.mean(dims, keepdim=True)) / curved.std(dims, keepdim=True).clamp(
        min=1e-8
    ) * deviation + mean
