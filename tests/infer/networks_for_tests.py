"""Networks whose answer is known: functions of the input, voxel by voxel."""

import itertools

import numpy as np
import torch

from medseg.infer.blend import windows_along
from medseg.models.card import ClassCard, ModelCard, NetworkCard
from medseg.models.package import ModelPackage
from medseg.models.training_card import TrainingCard
from medseg.prepare.card import ChannelCard, InputCard, NormalizationCard
from medseg.prepare.resample import resample


class FakePackage(ModelPackage):
    """A package without files."""

    @property
    def hash(self):
        return "0" * 64


class Cascaded(FakePackage):
    """A second stage without files, its low-resolution stage given by the test."""

    low_resolution_stage = None


def tiny_card(name="tiny", classes=("a",), **changes):
    """Card of a model nobody trained."""
    values = {
        "title": "A model for tests",
        "classes": tuple(ClassCard(value=i, name=n) for i, n in enumerate(classes, start=1)),
        "input": InputCard(channels=(ChannelCard(name="MR"),), patch=(8, 8, 8)),
        "network": NetworkCard(name="unet"),
        "training": TrainingCard(data="none", license="none", cases=0, command="none", seed=0),
        "weights_sha256": "0" * 64,
    }
    return ModelCard(name=name, **{**values, **changes})


def package(classes=3, channels=1, **inputs):
    plain = NormalizationCard(scheme="none")
    given = tuple(ChannelCard(name=f"c{i}", normalization=plain) for i in range(channels))
    values = {"channels": given, "patch": (16, 16, 16), "spacing": (1.0, 1.0, 1.0), **inputs}
    names = [f"class {i}" for i in range(1, classes)]
    return FakePackage(None, tiny_card("analytic", names, input=InputCard(**values)))


class Analytic:
    """An engine that applies a function to each window: (N, C, X, Y, Z) to (N, K, X, Y, Z)."""

    name = "analytic"
    working_bytes = 0

    def __init__(self, function):
        self.function = function
        self.batches = []

    def run(self, windows):
        assert windows.flags.c_contiguous
        assert windows.dtype == np.float32
        self.batches.append(windows.shape)
        return np.ascontiguousarray(self.function(windows), dtype=np.float32)


class Resident:
    """An analytic engine that takes and gives tensors."""

    def __init__(self, function):
        self.function = function
        self.device = torch.device("cpu")

    def compute(self, windows):
        return torch.from_numpy(np.ascontiguousarray(self.function(windows.numpy()), dtype=np.float32))


def bands(count, width=10.0):
    """Scores whose largest is class ``floor(intensity / width)``, exactly and without ties but on the borders."""

    def function(windows):
        centers = (np.arange(count, dtype=np.float32) + 0.5) * width
        return -((windows[:, :1] - centers[:, None, None, None]) ** 2)

    return function


def position_dependent(windows):
    """A network that answers by where in the window a voxel is, so that blending matters."""
    x, y, z = windows.shape[2:]
    ramp = np.arange(x)[:, None, None] + 2 * np.arange(y)[:, None] - np.arange(z)
    return np.stack([windows[:, 0] + ramp, windows[:, 0] * ramp], axis=1)


def blended(array, run, classes, patch, overlap, skip=lambda x, y, z: False):
    """The plain way: weighted sums over the windows that run, and the sum of their weights, in float64."""
    axes = [windows_along(n, p, overlap) for n, p in zip(array.shape[1:], patch, strict=True)]
    total, share = np.zeros((classes, *array.shape[1:])), np.zeros(array.shape[1:])
    for window in itertools.product(*(zip(a.starts, a.weights, strict=True) for a in axes)):
        start, weights = zip(*window, strict=True)
        if skip(*start):
            continue
        where = (slice(None), *(slice(a, a + n) for a, n in zip(start, patch, strict=True)))
        weight = np.einsum("i,j,k", *(w.astype(np.float64) for w in weights))
        total[where] += run(np.ascontiguousarray(array[where])[None])[0] * weight
        share[where[1:]] += weight
    return total, share


def smooth(shape, seed=0):
    """Intensities from 0 to 30 that change slowly."""
    coarse = np.random.default_rng(seed).uniform(0, 30, size=[max(2, n // 6) for n in shape]).astype(np.float32)
    return resample(coarse, shape, 1)
