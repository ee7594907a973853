"""Networks whose answer is known: functions of the input, voxel by voxel."""

import numpy as np

from medseg.models.card import ClassCard, ModelCard, NetworkCard, TrainingCard
from medseg.models.package import ModelPackage
from medseg.prepare.card import ChannelCard, InputCard, NormalizationCard


class FakePackage(ModelPackage):
    """A package without files."""

    @property
    def hash(self):
        return "0" * 64


def package(classes=3, channels=1, scheme="none", network=None, **inputs):
    values = {
        "channels": tuple(
            ChannelCard(name=f"c{i}", normalization=NormalizationCard(scheme=scheme)) for i in range(channels)
        ),
        "patch": (16, 16, 16),
        "spacing": (1.0, 1.0, 1.0),
        **inputs,
    }
    card = ModelCard(
        name="analytic",
        title="A function of its input",
        classes=tuple(ClassCard(value=i, name=f"class {i}") for i in range(1, classes)),
        input=InputCard(**values),
        network=network or NetworkCard(name="unet"),
        training=TrainingCard(data="none", license="none", cases=0, command="none", seed=0),
        weights_sha256="0" * 64,
    )
    return FakePackage(None, card)


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


def bands(count, width=10.0):
    """Scores whose largest is class ``floor(intensity / width)``, exactly and without ties but on the borders."""

    def function(windows):
        centers = (np.arange(count, dtype=np.float32) + 0.5) * width
        return -((windows[:, :1] - centers[:, None, None, None]) ** 2)

    return function
