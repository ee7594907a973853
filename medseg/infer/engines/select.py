"""Chooses what computes a network."""

from __future__ import annotations

from medseg.errors import UsageError
from medseg.infer.engines.base import Engine
from medseg.infer.options import InferOptions
from medseg.models.package import ModelPackage

__all__ = ["select_engine"]


def select_engine(package: ModelPackage, options: InferOptions) -> Engine:
    """Make the engine the options ask for, with the package's weights in it.

    Raises
    ------
    UsageError
        When the device or engine asked for is not there.
    """
    if options.engine in ("auto", "torch"):
        from medseg.infer.engines.torch import TorchEngine

        return TorchEngine(package, options.device)
    raise UsageError(f"--engine {options.engine} is not available", fix="Use --engine torch.")
