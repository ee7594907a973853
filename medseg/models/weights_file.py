"""Weights that others trained, from a file: nnssl's (OpenMind) residual encoders, and SuPreM's SegResNet.

nnssl's checkpoints hold ``network_weights`` and ``nnssl_adaptation_plan``, which names the network (Wald et al. 2025,
arXiv:2412.17041); SuPreM's hold ``net`` (Li et al. 2024, arXiv:2501.11253). Both are read without running code in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medseg.errors import ModelError
from medseg.models.adapters.nnunet_plans import Axes
from medseg.models.adapters.nnunet_weights import renamed
from medseg.models.state_dict import read_state_dict

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
KNOWN = "nnssl's ResEncL (OpenMind) and SuPreM's SegResNet"
# What SuPreM adds for each of its own classes.
SUPREM_HEAD = "conv_final.2."


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """Weights from a file, and what a training that starts from them is.

    Parameters
    ----------
    kind : str
        Who made them, and which network they are of.
    network : dict
        Name, dimensions and arguments of medseg's network that is the same function.
    weights : dict of str to Tensor
        By the names of that network, without those of its outputs.
    stem : str
        Name of the weights that the channels of the input go through, ``(features, channels, *kernel)``.
    fresh : str
        Beginning of the names of layers that the file has nothing for, and that start at random.
    input : dict
        What the authors' own preparation is, as keys of ``input``; ``normalization`` is that of every channel.
    training : dict
        The authors' optimizer and schedule for fine-tuning, as keys of a training configuration.
    """

    kind: str
    network: dict[str, Any]
    weights: Mapping[str, Tensor]
    stem: str
    fresh: str
    input: dict[str, Any]
    training: dict[str, Any]


def is_weights_file(name: str | Path) -> bool:
    """Whether a name is that of a file of weights, not of a model package."""
    return not str(name).startswith("models:/") and Path(name).suffix.lower() in SUFFIXES


def read_weights_file(path: Path) -> WeightsFile:
    """Read a file of weights and recognize its network; raises `ModelError` for one that is not known."""
    if not path.is_file():
        raise ModelError("there is no such file", where=path, fix="Check the path given to --from.")
    weights = read_state_dict(path)
    layouts: tuple[tuple[str, Callable[[Path, dict[str, Tensor]], WeightsFile]], ...] = (
        ("encoder.stem.convs.0.conv.weight", _nnssl),
        ("convInit.conv.weight", _suprem),
    )
    for telling, layout in layouts:
        if telling in weights:
            return layout(path, weights)
    raise ModelError(
        f"the weights are of a network that is not known here (they begin with '{next(iter(weights))}')",
        where=path,
        fix=f"--from takes {KNOWN}, and model packages.",
    )


def load_weights_file(network: nn.Module, file: WeightsFile, path: Path) -> None:
    """Give a network the weights of a file; its outputs, and what the file was not trained with, start at random.

    More channels than the file has share its stem: each gets the file's weights divided by their number, as nnssl and
    nnU-Net do it, so that scans that are alike in all channels give what one of them gave.
    """
    own = network.state_dict()
    for name, value in file.weights.items():
        if name == file.stem and name in own and value.shape[1] == 1:
            channels = own[name].shape[1]
            value = value.expand(-1, channels, *value.shape[2:]) / channels
        if name not in own or own[name].shape != value.shape:
            found = "is not in it" if name not in own else f"is {list(value.shape)}, not {list(own[name].shape)}"
            raise ModelError(
                f"the weights are of another network: '{name}' {found}",
                where=path,
                fix="Omit network from the configuration, so that the one of the file is used.",
            )
        with torch.no_grad():
            own[name].copy_(value)
    if missing := sorted(name for name in own if name not in file.weights and not name.startswith(file.fresh)):
        raise ModelError(
            f"the file has no weights for '{missing[0]}'", where=path, fix="Download it again; it may be incomplete."
        )


def _nnssl(path: Path, weights: dict[str, Tensor]) -> WeightsFile:
    """The encoder of an nnssl checkpoint; its decoder learned to draw images, and is not used (nnU-Net's rule)."""
    kept = {name: tensor for name, tensor in weights.items() if name.startswith("encoder.")}
    # nnssl's networks see an array (Z, Y, X) of the scan.
    found = renamed(kept, Axes.from_transpose((0, 1, 2), 3), path)
    blocks: dict[int, int] = {}
    for name in found:
        if match := re.match(r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.first\.conv\.weight", name):
            blocks[int(match[1])] = max(blocks.get(int(match[1]), 0), int(match[2]) + 1)
    first = [found.get(f"encoder.stages.{k}.blocks.0.first.conv.weight") for k in range(len(blocks))]
    if not blocks or any(tensor is None or tensor.dim() != 5 for tensor in first):
        raise ModelError("the encoder has other layers than nnssl's ResEncL", where=path, fix=f"--from takes {KNOWN}.")
    convolutions = [tensor for tensor in first if tensor is not None]
    network = {
        "name": "unet",
        "dimensions": 3,
        "arguments": {
            "features": [tensor.shape[0] for tensor in convolutions],
            "strides": [[1, 1, 1], *[[2, 2, 2]] * (len(blocks) - 1)],
            "kernels": [list(tensor.shape[2:]) for tensor in convolutions],
            "blocks": [blocks[k] for k in range(len(blocks))],
            "decoder_blocks": 1,
            "encoder": "residual",
            # Off in nnU-Net's fine-tuning of these.
            "deep_supervision": False,
        },
    }
    training = {
        "optimizer": {
            "name": "sgd",
            "learning_rate": 1e-3,
            "momentum": 0.99,
            "weight_decay": 3e-5,
            "schedule": "polynomial",
            "warm_up": 0.05,
        }
    }
    return WeightsFile(
        "nnssl's residual encoder",
        network,
        found,
        "encoder.stem.conv.weight",
        "decoder.",
        {"normalization": {"scheme": "zscore"}},
        training,
    )


def _suprem(path: Path, weights: dict[str, Tensor]) -> WeightsFile:
    """SuPreM's SegResNet, without the outputs of its own classes."""
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(SUPREM_HEAD)}
    blocks: dict[int, int] = {}
    for name in kept:
        # A stage's first layer halves the image (nothing at full resolution); residual blocks follow.
        if match := re.match(r"down_layers\.(\d+)\.(\d+)\.conv1\.conv\.weight", name):
            blocks[int(match[1])] = max(blocks.get(int(match[1]), 0), int(match[2]))
    stages = sorted(blocks)
    network = {
        "name": "segresnet",
        "dimensions": 3,
        "arguments": {"width": kept["convInit.conv.weight"].shape[0], "blocks_down": [blocks[k] for k in stages]},
    }
    if stages != list(range(len(stages))) or len(stages) < 2:
        raise ModelError(
            "the network has other layers than SuPreM's SegResNet", where=path, fix=f"--from takes {KNOWN}."
        )
    normalization = {"scheme": "rescale", "lower": -175.0, "upper": 250.0, "to": [0.0, 1.0], "clip": True}
    training = {
        "optimizer": {
            "name": "adamw",
            "learning_rate": 1e-4,
            "weight_decay": 1e-5,
            "schedule": "cosine",
            "warm_up": 0.1,
        }
    }
    return WeightsFile(
        "SuPreM's SegResNet",
        network,
        kept,
        "convInit.conv.weight",
        SUPREM_HEAD,
        {"spacing": [1.5, 1.5, 1.5], "orientation": "RAS", "normalization": normalization},
        training,
    )
