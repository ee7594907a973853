"""Writes a package's network as ONNX, and proves that it computes the same."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg.errors import MissingDependency, ModelError, first_line
from medseg.infer.activations import activation_bytes
from medseg.infer.agreement import EnsembleAgreement
from medseg.infer.engines.base import Engine
from medseg.infer.engines.onnx_files import Export, export_folder, find_export, read_report
from medseg.infer.engines.onnx_weights import share_weights
from medseg.infer.engines.traced_window import fit_window, smaller_window
from medseg.io.files.atomic import atomic_path, write_text
from medseg.io.files.file_hash import file_sha256
from medseg.models.card import ModelCard
from medseg.models.package import ONNX_FILE, REPORT_FILE, ModelPackage

if TYPE_CHECKING:
    import torch


log = logging.getLogger("medseg.infer")


class _OneSizeOnly(Exception):
    """What was written in a small window does not compute a larger one."""


OPSET = 17
# Largest difference of a score, as a fraction of the range of scores: some rounding of float32 in another order.
TOLERANCE = 1e-3


def ensure_export(
    package: ModelPackage, folder: Path | None = None, *, progress: Callable[[str], None] | None = None
) -> Export | None:
    """Find a package's ONNX file, or make it where that can be done here; None where it cannot.

    A network that cannot be exported is not tried again with the same PyTorch.
    """
    found = find_export(package)
    if found is not None or package.card.network.is_whole:
        return found
    runs = any(find_spec(name) for name in ("openvino", "onnxruntime"))
    if not runs or not all(find_spec(name) for name in ("onnx", "onnxscript")):
        return None
    failed = (read_report(export_folder(package), package) or {}).get("failed_with")
    if failed == _written_by():
        return None
    (progress or log.info)("Writing the network as ONNX for faster engines, once for this model.")
    try:
        export_onnx(package, folder)
    except (ModelError, OSError) as error:
        log.warning("The network runs on PyTorch only: %s", error)
        content = {"network_sha256": package.network_hash, "failed_with": _written_by(), "reason": str(error)}
        try:
            write_text(export_folder(package) / REPORT_FILE, json.dumps(content, indent=2) + "\n")
        except OSError as unwritable:
            log.debug("%s", unwritable)
        return None
    return find_export(package)


def export_onnx(package: ModelPackage, folder: Path | None = None) -> dict[str, Any]:
    """Write the network, members averaged, for one window of the card's size, and compare it with PyTorch.

    - `folder`: where to write; by default a place of the user's where `find_export` looks. In the package's own folder
      the file refers to the package's weights; elsewhere it holds them.
    - returns: the report: hashes, versions, the largest difference of a score on a window of noise, and the fraction of
      voxels whose largest score is another.
    """
    from medseg.infer.engines.torch import load_networks

    if package.card.network.name == "onnx":
        raise ModelError(f"'{package.card.name}' is ONNX already", where=package.weights_path, fix="Use it as it is.")
    networks = load_networks(package)
    target = export_folder(package) if folder is None else folder
    small = smaller_window(networks[0], package.card) if find_spec("openvino") else None
    try:
        report = _written(package, networks, target, small or package.card)
    except _OneSizeOnly:
        report = _written(package, networks, target, package.card)
    write_text(target / REPORT_FILE, json.dumps(report, indent=2) + "\n")
    return {"file": str(target / ONNX_FILE), **report}


def _written(package: ModelPackage, networks: list[torch.nn.Module], target: Path, traced: ModelCard) -> dict[str, Any]:
    """Write the file by means of a card with perhaps a smaller window; `_OneSizeOnly` where it then fits no other."""
    import torch

    card = package.card
    window = np.random.default_rng(0).standard_normal((1, card.channels, *traced.input.patch), np.float32)
    shown = torch.from_numpy(window if card.network.dimensions == 3 else window[..., 0])
    with torch.inference_mode():
        expected = np.mean([network(shown).float().numpy() for network in networks], axis=0)
    with atomic_path(target / ONNX_FILE) as part:
        for network in networks:
            _use_plain_normalization(network, card.network.dimensions)
        _write(networks, shown, part, card)
        multiple = _multiple(networks, window, part, activation_bytes(part), traced)
        if traced is not card:
            if multiple is None:
                raise _OneSizeOnly
            fit_window(part, card)
        activations = activation_bytes(part)
        shared = target == package.folder and share_weights(part, package.weights_path)
        engine = _any_engine(Export(part, activations, multiple=tuple(multiple) if multiple else None), traced)
        found = engine.run(window).reshape(expected.shape)
        content_hash = file_sha256(part)
        difference = float(np.abs(found - expected).max())
        spread = float(expected.max() - expected.min())
        report = {
            "network_sha256": package.network_hash,
            "onnx_sha256": content_hash,
            "opset": OPSET,
            "shares_weights": shared,
            "activation_bytes": activations,
            "multiple": multiple,
            "outputs": ["scores", "found"][: 1 + (card.ensemble_members > 1)],
            "written_by": _written_by(),
            "compared_by": engine.name,
            "largest_difference": difference,
            "range_of_scores": spread,
            "voxels_with_another_winner": float((found.argmax(axis=1) != expected.argmax(axis=1)).mean()),
        }
        if not difference <= TOLERANCE * spread:
            raise ModelError(
                f"the network written as ONNX gives another result: outputs differ by {difference:.3g} in a range of "
                f"{spread:.3g}",
                where=package.folder,
                fix="Use --engine torch.",
            )
    return report


def _multiple(
    networks: list[torch.nn.Module], window: npt.NDArray[np.float32], path: Path, activations: int, card: ModelCard
) -> list[int] | None:
    """What the sides of a window must be multiples of, where OpenVINO computes the same as PyTorch in a larger one.

    None for networks of one size only, as those with learned positions are.
    """
    step = getattr(networks[0], "multiple", None)
    if step is None or not find_spec("openvino"):
        return None
    import torch

    from medseg.infer.engines.openvino import OpenVinoEngine

    flat = card.network.dimensions == 2
    multiple = [int(step)] * card.network.dimensions if isinstance(step, int) else [int(n) for n in step]
    larger = [side + n for side, n in zip(card.input.patch, (*multiple, 0), strict=False)]
    x, y, z = larger
    shown = np.random.default_rng(0).standard_normal((1, window.shape[1], x, y, z), np.float32)
    try:
        with torch.inference_mode():
            given = torch.from_numpy(shown[..., 0] if flat else shown)
            expected = np.mean([network(given).float().numpy() for network in networks], axis=0)
        engine = OpenVinoEngine(path, card, activations, multiple=tuple(multiple)).resized((x, y, z))
        found = engine.run(shown).reshape(expected.shape)
    except (RuntimeError, ValueError, ModelError) as error:
        log.debug("the network is for windows of one size: %s", error)
        return None
    same = np.abs(found - expected).max() <= TOLERANCE * (expected.max() - expected.min())
    return multiple if same else None


def _written_by() -> str:
    return f"torch {version('torch')}"


def _write(networks: list[torch.nn.Module], shown: torch.Tensor, path: Path, card: ModelCard) -> None:
    import torch

    from medseg.infer.engines.torch_ensemble import found_in

    limit = None if card.ensemble_members == 1 else EnsembleAgreement.from_card(card).threshold

    class Mean(torch.nn.Module):
        """Average of the members' scores, and what each of them and the average found."""

        def __init__(self) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(networks)

        def forward(self, windows: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
            total: torch.Tensor = self.members[0](windows)
            if len(self.members) == 1:
                return total
            found = [found_in(total, limit)]
            for member in self.members[1:]:
                scores = member(windows)
                found.append(found_in(scores, limit))
                total = total + scores
            total = total / len(self.members)
            found.append(found_in(total, limit))
            return total, torch.cat([one.to(torch.uint8 if card.n_outputs <= 256 else torch.int32) for one in found])

    try:
        with torch.inference_mode(), warnings.catch_warnings():
            # The exporter that traces gives fewer, larger operations, which run faster, than its successor.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Mean().eval(),
                (shown,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["windows"],
                output_names=["scores", "found"][: 1 + (card.ensemble_members > 1)],
            )
    except (RuntimeError, ImportError, torch.onnx.OnnxExporterError) as error:
        raise ModelError(
            f"the network '{card.network.name}' cannot be written as ONNX ({first_line(error)[:160]})",
            fix="Use --engine torch.",
        ) from error


def _use_plain_normalization(network: torch.nn.Module, dimensions: int) -> None:
    """Put PyTorch's instance normalization in place of medseg's: the same function, and one operation in ONNX."""
    from torch import nn

    from medseg.models.instance_norm import InstanceNorm

    plain = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dimensions]
    for name, child in network.named_children():
        if isinstance(child, InstanceNorm):
            layer = plain(child.num_channels, eps=child.eps, affine=True)
            layer.load_state_dict(child.state_dict())
            setattr(network, name, layer.eval())
        else:
            _use_plain_normalization(child, dimensions)


def _any_engine(export: Export, card: ModelCard) -> Engine:
    if find_spec("openvino"):
        from medseg.infer.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(export.checked(), card, export.activations, multiple=export.multiple)
    if find_spec("onnxruntime"):
        from medseg.infer.engines.onnx import OnnxEngine

        return OnnxEngine(export.checked(), card, export.activations)
    raise MissingDependency(
        "neither OpenVINO nor ONNX Runtime is installed, so that an ONNX file cannot be checked",
        fix="Install it with pip install openvino, or medseg[onnx].",
    )
