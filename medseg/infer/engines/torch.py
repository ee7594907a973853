"""Computes a network with PyTorch, on the CPU or on a GPU."""

from __future__ import annotations

import io
import os
from contextlib import nullcontext
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from medseg.errors import ModelError, UsageError, first_line
from medseg.infer.agreement import EnsembleAgreement
from medseg.infer.engines.base import with_window
from medseg.infer.engines.layer_results import is_plain, largest_on_meta, largest_result
from medseg.infer.engines.torch_ensemble import compare, found_in
from medseg.models.card import ModelCard
from medseg.models.onednn_convolution import InOneDnn
from medseg.models.package import ModelPackage
from medseg.models.registry import network_of
from medseg.models.trust import is_trusted
from medseg.threads import OneAtATime

# Results of the largest layer that are in memory together at the worst moment, oneDNN's working space included: 7.3
# measured for a U-Net of 32 features at 96 x 96 x 96.
LARGEST_HELD = 8
Size = tuple[int, int, int]

if hasattr(os, "register_at_fork"):
    # OpenMP's threads stay with the parent; a child that counted on them would wait for ever.
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def resolve_device(wanted: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device that exists here."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return torch.device("cuda", 0) if count else torch.device("cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= count:
        build = "" if torch.version.cuda else " (this PyTorch is built for the CPU only)"
        raise UsageError(
            f"--device {wanted}: {count or 'no'} CUDA GPU{'' if count == 1 else 's'} found{build}",
            fix="Use --device cpu, or install PyTorch for CUDA and look at medseg doctor.",
        )
    return device


class TorchEngine:
    """A package's network in PyTorch.

    - `precision`: the second by autocast: weights and sums stay in float32.
    - `compiled`: whether `torch.compile` makes the network faster at the price of a slow first window.
    """

    def __init__(
        self,
        package: ModelPackage,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        *,
        compiled: bool = False,
    ) -> None:
        card = package.card
        self.device = resolve_device(device)
        self.on_gpu = self.device.type == "cuda"
        self._flat = card.network.dimensions == 2
        self._lower = precision == "bfloat16"
        # Channels last is what oneDNN and cuDNN compute in anyway; float32 on a CPU gains nothing by it.
        self._layout = _layout(card) if self._lower or self.device.type == "cuda" else torch.contiguous_format
        self._networks: list[Any] = [
            network.to(device=self.device, memory_format=self._layout)  # type: ignore[call-overload]
            for network in load_networks(package)
        ]
        self.threads = torch.get_num_threads()
        self._lock = OneAtATime()
        self._compiled = compiled
        self._card = card
        self._first = self._networks[0]
        self.working_bytes = LARGEST_HELD * largest_result(self._first, card)
        # A compiled network is not run by PyTorch's functions, and bfloat16 always goes to oneDNN.
        self._in_onednn = self.device.type == "cpu" and not (self._lower or compiled)
        if compiled:
            self._networks = [torch.compile(network) for network in self._networks]
        self.agreement = None if card.ensemble_members == 1 else EnsembleAgreement.from_card(card)
        self.name = f"torch {torch.__version__} {self.device} {precision}{' compiled' if compiled else ''}"

    @cached_property
    def multiple(self) -> Size | None:
        """See `Engine.multiple`."""
        step = None if self._compiled else getattr(self._networks[0], "multiple", None)
        if step is None:
            return None
        x, y, z = (*step, 0)[:3]
        own = self._card.input.patch
        try:
            if not is_plain(self._first):
                largest_on_meta(with_window(self._card, (own[0] + x, own[1] + y, own[2] + z)))
        except (RuntimeError, ValueError):
            return None  # as of networks with learned positions
        return x, y, z

    def resized(self, window: Size) -> TorchEngine:
        """See `Engine.resized`."""
        other = copy(self)  # of the same networks
        other.working_bytes = LARGEST_HELD * largest_result(self._first, with_window(self._card, window))
        return other

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores; see `Engine.run`."""
        scores: npt.NDArray[np.float32] = self.compute(torch.from_numpy(windows)).cpu().numpy()
        return scores

    def compute(self, windows: torch.Tensor) -> torch.Tensor:
        """Compute scores, float32 on this engine's device, of windows on any device; shapes as of `Engine.run`."""
        if not self._compiled:
            with self._lock:
                return self._compute(windows)
        from torch._dynamo.exc import TorchDynamoException

        try:
            with self._lock:
                return self._compute(windows)
        except TorchDynamoException as error:
            raise ModelError(
                f"PyTorch cannot compile the network here ({first_line(error)[:160]})",
                fix="Install a C++ compiler such as g++, or omit segment.compiled.",
            ) from error

    def _compute(self, windows: torch.Tensor) -> torch.Tensor:
        own = InOneDnn() if self._in_onednn else nullcontext()
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._lower), own:
            shown = windows.to(self.device, non_blocking=True)
            shown = (shown[..., 0] if self._flat else shown).contiguous(memory_format=self._layout)
            # All members on the same window while it is in the CPU's cache.
            total = self._networks[0](shown).float()
            if self.agreement is not None:
                limit = self.agreement.threshold
                found = [found_in(total, limit)]
                for network in self._networks[1:]:
                    scores = network(shown).float()
                    found.append(found_in(scores, limit))
                    total += scores
                total /= len(self._networks)
                compare(self.agreement, found, found_in(total, limit))
            given: torch.Tensor = total[..., None] if self._flat else total
        return given


def _layout(card: ModelCard) -> torch.memory_format:
    return torch.channels_last if card.network.dimensions == 2 else torch.channels_last_3d


def load_networks(package: ModelPackage) -> list[torch.nn.Module]:
    """Build a package's network, once for each of its members, with weights, in evaluation mode, on the CPU."""
    if package.card.network.name == "torchscript":
        return [_load_script(package)]
    return [_loaded(package.card, part, package.folder) for part in _members(package.card, package.weights())]


def _load_script(package: ModelPackage) -> torch.nn.Module:
    if not is_trusted(package.card.weights_sha256):
        raise ModelError(
            f"'{package.card.name}' is a TorchScript program, which has not been marked as trusted on this machine",
            where=package.folder,
            fix="If you trust its source: medseg models import PACKAGE --name NAME --trust.",
        )
    try:
        network: torch.nn.Module = torch.jit.load(  # type: ignore[no-untyped-call]
            io.BytesIO(package.content()), map_location="cpu"
        )
    except RuntimeError as error:
        raise ModelError(
            f"PyTorch cannot read the network ({_first(error)})",
            where=package.weights_path,
            fix="Save it again with this version of PyTorch, and import it again.",
        ) from error
    return network.eval()


def _members(card: ModelCard, weights: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    if card.ensemble_members == 1:
        return [weights]
    prefixes = [f"{number}." for number in range(card.ensemble_members)]
    return [{k.removeprefix(p): v for k, v in weights.items() if k.startswith(p)} for p in prefixes]


def _loaded(card: ModelCard, weights: dict[str, torch.Tensor], where: Path) -> torch.nn.Module:
    network = network_of(card)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the weights do not fit the network '{card.network.name}' as the card builds it ({_first(error)})",
            where=where,
            fix="Use the package as medseg train or medseg models import left it.",
        ) from error
    return network.eval()


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else lines[0]
