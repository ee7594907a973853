"""Chooses what computes a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from medseg.errors import MissingDependency, ModelError, UsageError
from medseg.infer.engines.base import Engine
from medseg.infer.engines.measure import fastest
from medseg.infer.onnx_export import find_export
from medseg.infer.options import InferOptions
from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage

__all__ = ["allowed_precision", "select_engine"]

Name = Literal["torch", "openvino", "onnx"]
# Mean Dice of a class that a lower precision may cost at the most.
LARGEST_DROP = 0.002
# Engine -> module it needs.
MODULES: dict[Name, str] = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}


def select_engine(package: ModelPackage, options: InferOptions) -> Engine:
    """Make the engine the options ask for, with the package's network in it.

    ``auto`` takes PyTorch on a GPU. On the CPU, of the engines that are installed and can run the package, it takes the
    one that was fastest on this machine when the package was first used here; see `medseg.infer.engines.measure`.

    Raises
    ------
    UsageError
        When the device or engine asked for is not there, or cannot run on the device asked for.
    ModelError
        When an engine is asked for that needs an ONNX file, and the package has not been exported.
    """
    if options.engine == "torch":
        return _make("torch", package, options.device, None)
    gpu = options.device.startswith("cuda") or (options.device == "auto" and _has_gpu())
    if options.engine == "auto":
        if gpu:
            return _make("torch", package, options.device, None)
        exported = find_export(package)
        there = [n for n in MODULES if find_spec(MODULES[n]) and (n == "torch" or exported is not None)]
        makers: dict[str, Callable[[], Engine]] = {n: partial(_make, n, package, "cpu", exported) for n in there}
        return fastest(package, makers)
    if options.device.startswith("cuda"):
        raise UsageError(f"--engine {options.engine} runs on the CPU here", fix="Use --engine torch for a GPU.")
    if not find_spec(MODULES[options.engine]):
        raise MissingDependency(
            f"{MODULES[options.engine]} is not installed",
            fix=f"Install medseg[{options.engine}], or use --engine torch.",
        )
    exported = find_export(package)
    if exported is None:
        raise ModelError(
            f"--engine {options.engine} needs the network as ONNX, and '{package.card.name}' has not been exported",
            fix=f"Run medseg models export {package.card.name} --format onnx once.",
        )
    return _make(options.engine, package, "cpu", exported)


def _make(name: Name, package: ModelPackage, device: str, exported: Path | None) -> Engine:
    if name == "torch":
        from medseg.infer.engines.torch import TorchEngine

        return TorchEngine(package, device)
    assert exported is not None
    if name == "openvino":
        from medseg.infer.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(exported, package.card, allowed_precision(package.card))
    from medseg.infer.engines.onnx import OnnxEngine

    return OnnxEngine(exported, package.card)


def allowed_precision(card: ModelCard) -> Literal["float32", "bfloat16"]:
    """Lowest precision whose cost in Dice was measured for this model and is at most `LARGEST_DROP` for every class."""
    measured = card.precisions.get("bfloat16")
    if measured is None or set(measured.dice_drop) != {c.name for c in card.classes}:
        return "float32"
    return "bfloat16" if max(measured.dice_drop.values()) <= LARGEST_DROP else "float32"


def _has_gpu() -> bool:
    """Whether there is an NVIDIA driver, found without importing PyTorch, which takes seconds."""
    return any(Path(name).exists() for name in ("/dev/nvidiactl", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll"))
