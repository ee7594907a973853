"""Whether weights fit the network that a card describes, known before the first scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.config.safe_json import parse_json
from medseg.errors import ConfigError, ModelError, UsageError
from medseg.models.card import ModelCard

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medseg.models.package import ModelPackage


def check_weights(card: ModelCard, weights: Mapping[str, torch.Tensor], where: Path, *, fix: str) -> None:
    """Raise where the weights are not those of the network; it is built without memory, however large it is said to be.

    Parameters
    ----------
    card : ModelCard
        Which network, how large, and how many of it.
    weights : mapping of str to torch.Tensor
        By the names the network has for them, in an ensemble with the number of the member and a dot before.
    where : Path
        What an error is about.
    fix : str
        What to do where they do not fit.
    """
    network = _empty_network(card)
    for number in range(card.ensemble_members):
        prefix = "" if card.ensemble_members == 1 else f"{number}."
        own = {k.removeprefix(prefix): v.to("meta") for k, v in weights.items() if k.startswith(prefix)}
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            what = f"the weights do not fit the network described ({(lines + lines)[1][:200]})"
            raise ModelError(what, where=where, fix=fix) from error
    _check_numbers(network, weights, where, fix)


def _check_numbers(network: nn.Module, weights: Mapping[str, torch.Tensor], where: Path, fix: str) -> None:
    """Raise where weights are of another kind of number than the network's, or are none."""
    is_real = {name: value.is_floating_point() for name, value in network.state_dict().items()}
    for name, value in weights.items():
        inner = name if name in is_real else name.partition(".")[2]  # without the number of a member
        if value.is_floating_point() != is_real.get(inner, value.is_floating_point()) or value.is_complex():
            kind = str(value.dtype).removeprefix("torch.")
            raise ModelError(f"the weights '{name[:80]}' are of the type {kind}", where=where, fix=fix)
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ModelError(f"the weights '{name[:80]}' are not all finite numbers", where=where, fix=fix)


def check_package(package: ModelPackage) -> None:
    """Raise where the weights of a package, or of its low-resolution stage, are not those of its network."""
    for part in package.parts:
        check_package(part)
    if not package.card.network.is_whole and package.card.composite is None:
        fix = "Get the package again from whoever made it."
        check_weights(package.card, package.weights(), package.folder, fix=fix)
    check_export(package)
    if package.low_resolution_stage is not None:
        check_package(package.low_resolution_stage)


def check_export(package: ModelPackage) -> None:
    """Raise where the ONNX file that came beside the weights is not the one its report describes."""
    from medseg.io.files.file_hash import file_sha256
    from medseg.models.package import ONNX_FILE, REPORT_FILE

    file, report = package.folder / ONNX_FILE, package.folder / REPORT_FILE
    if not file.is_file() or not report.is_file():
        return
    try:
        stated = parse_json(report.read_text(encoding="utf-8"))["onnx_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        stated = None  # no report of an export, which is then made anew
    if stated is not None and stated != file_sha256(file):
        raise ModelError(
            "the ONNX file is not the one its report describes (SHA-256 differs)",
            where=file,
            fix="Get the package again from whoever made it, or delete this file, which medseg makes again.",
        )


def _empty_network(card: ModelCard) -> nn.Module:
    import torch

    from medseg.models.registry import network_of

    try:
        with torch.device("meta"):
            return network_of(card)
    except ConfigError as error:
        raise UsageError(error.what, where=error.where, fix=error.fix) from error
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError, OverflowError, IndexError) as error:
        raise ModelError(
            f"the network '{card.network.name}' cannot be built with the card's arguments ({type(error).__name__})",
            where="network.arguments",
            fix="Correct the card.",
        ) from error
