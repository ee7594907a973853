"""Writes a network in 8 bits for OpenVINO: post-training quantization by NNCF, calibrated on windows of real scans."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.errors import MissingDependency, ModelError, first_line
from medseg.infer.engines.openvino import openvino_core
from medseg.io.files.atomic import atomic_path
from medseg.io.files.file_hash import file_sha256
from medseg.models.card import ModelCard

NAME = "model-int8"


def can_quantize() -> bool:
    """Whether what it takes is installed."""
    return all(find_spec(name) for name in ("openvino", "nncf"))


def quantize(
    network: Path, card: ModelCard, windows: Sequence[npt.NDArray[np.float32]], folder: Path
) -> dict[str, str]:
    """Quantize weights and results of convolutions to 8 bits.

    - `windows`, shape (1, C, X, Y, Z): what the network will see: prepared windows of training data.
    """
    if not can_quantize():
        raise MissingDependency("int8 needs OpenVINO and NNCF", fix="Install medseg[int8].")
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    shown = [window if card.network.dimensions == 3 else window[..., 0] for window in windows]
    try:
        with redirect_stdout(sys.stderr):  # NNCF's progress; standard output is for data
            quantized = nncf.quantize(
                openvino_core().read_model(str(network)),
                nncf.Dataset(shown),
                # Symmetric weights, asymmetric results: what follows normalization and a leaky ReLU is skewed.
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(shown),
            )
    except (RuntimeError, ValueError) as error:  # NNCF's own errors derive from these
        raise ModelError(
            f"the network cannot be quantized ({first_line(error)[:160]})",
            fix="Use bfloat16 instead, or leave the package in float32.",
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / f"{NAME}.xml") as description, atomic_path(folder / f"{NAME}.bin") as weights:
        # OpenVINO names the weights after the description.
        openvino.save_model(quantized, str(description), compress_to_fp16=False)
        description.with_suffix(".bin").replace(weights)
    return {name: file_sha256(folder / name) for name in (f"{NAME}.xml", f"{NAME}.bin")}
