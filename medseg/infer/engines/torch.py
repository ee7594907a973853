"""Computes a network with PyTorch, on the CPU or on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from medseg.errors import ModelError, UsageError
from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage
from medseg.models.registry import build_network

__all__ = ["TorchEngine", "load_networks", "resolve_device"]

# Results of the largest layer that are in memory together at the worst moment, oneDNN's working space included: 7.3
# measured for a U-Net of 32 features at 96 x 96 x 96.
LARGEST_HELD = 8


def resolve_device(wanted: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device that is there.

    Raises
    ------
    UsageError
        When a GPU is asked for that this machine or this build of PyTorch does not have.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return torch.device("cuda", 0) if there else torch.device("cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= there:
        build = "" if torch.version.cuda else " (this PyTorch is built for the CPU only)"
        raise UsageError(
            f"--device {wanted}: {there or 'no'} CUDA GPU{'' if there == 1 else 's'} found{build}",
            fix="Use --device cpu, or install PyTorch for CUDA and look at medseg doctor.",
        )
    return device


class TorchEngine:
    """A package's network in PyTorch, float32.

    Parameters
    ----------
    package : ModelPackage
        Its weights are read here, once.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    ModelError
        When the weights do not fit the network the card names.
    """

    def __init__(self, package: ModelPackage, device: str = "auto") -> None:
        card = package.card
        self.device = resolve_device(device)
        self._flat = card.network.dimensions == 2
        self._networks = [network.to(self.device) for network in load_networks(package)]
        self.working_bytes = _working_bytes(card)
        self.name = f"torch {torch.__version__} {self.device} float32"

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores; see `Engine.run`."""
        with torch.inference_mode():
            shown = torch.from_numpy(windows).to(self.device)
            shown = shown[..., 0] if self._flat else shown
            # All members on the same window while it is in the processor's cache.
            total = self._networks[0](shown)
            for network in self._networks[1:]:
                total += network(shown)
            total /= len(self._networks)
            given = total[..., None] if self._flat else total
            scores: npt.NDArray[np.float32] = given.float().cpu().numpy()
        return scores


def load_networks(package: ModelPackage) -> list[torch.nn.Module]:
    """Build a package's network, once for each of its members, with weights, in evaluation mode, on the CPU.

    Raises
    ------
    ModelError
        When the weights are damaged or do not fit the network the card names.
    """
    return [_loaded(package.card, part, package.folder) for part in _members(package.card, package.weights())]


def _members(card: ModelCard, weights: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    if card.members == 1:
        return [weights]
    prefixes = [f"{number}." for number in range(card.members)]
    return [{k.removeprefix(p): v for k, v in weights.items() if k.startswith(p)} for p in prefixes]


def _loaded(card: ModelCard, weights: dict[str, torch.Tensor], where: Path) -> torch.nn.Module:
    network = _build(card)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the weights do not fit the network '{card.network.name}' as the card builds it ({_first(error)})",
            where=where,
            fix="Use the package as medseg train or medseg models import left it.",
        ) from error
    return network.eval()


def _build(card: ModelCard) -> torch.nn.Module:
    return build_network(
        card.network.name,
        channels=len(card.input.channels),
        classes=card.scores,
        dimensions=card.network.dimensions,
        arguments=card.network.arguments,
    )


def _working_bytes(card: ModelCard) -> int:
    """Estimate activations from the shapes of every layer's result, which cost nothing to compute on "meta" tensors."""
    sizes = [0]

    def note(_module: torch.nn.Module, _inputs: object, result: object) -> None:
        if isinstance(result, torch.Tensor):
            sizes.append(result.nbytes)

    with torch.device("meta"), torch.inference_mode():
        network = _build(card).eval()
        for module in network.modules():
            module.register_forward_hook(note)
        network(torch.zeros(1, len(card.input.channels), *card.input.patch[: card.network.dimensions]))
    return LARGEST_HELD * max(sizes)


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else lines[0]
