"""Computes an exported network with OpenVINO: the fastest on Intel's processors, and no PyTorch to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.errors import MissingDependency, ModelError
from medseg.models.card import ModelCard

__all__ = ["OpenVinoEngine"]

# Working memory of a compiled network, as a multiple of a window of its scores and inputs, is not told by OpenVINO. As
# with PyTorch, results of the largest layer count; a U-Net's first stage has some thirty channels.
CHANNELS_HELD = 8 * 32


class OpenVinoEngine:
    """An ONNX file in OpenVINO on the CPU.

    Parameters
    ----------
    path : Path
        The network.
    card : ModelCard
        For the shape of a window.
    precision : {"float32", "bfloat16"}
        OpenVINO by itself takes bfloat16 where the processor has it; here the caller decides.

    Raises
    ------
    MissingDependency
        When OpenVINO is not installed.
    ModelError
        When it cannot read the network.
    """

    def __init__(self, path: Path, card: ModelCard, precision: Literal["float32", "bfloat16"] = "float32") -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingDependency("OpenVINO is not installed", fix="Install medseg[openvino].") from error
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot read the network ({str(error).strip().splitlines()[0][:160]})",
                where=path,
                fix="Export it again with medseg models export --format onnx, or use --engine torch.",
            ) from error
        self._request = compiled.create_infer_request()
        self._flat = card.network.dimensions == 2
        self.working_bytes = 4 * CHANNELS_HELD * card.input.patch[0] * card.input.patch[1] * card.input.patch[2]
        self.name = f"openvino {openvino.__version__.partition('-')[0]} cpu {precision}"

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores; see `Engine.run`."""
        results = []
        for window in windows[:, None]:
            shown = window[..., 0] if self._flat else window
            # A copy: OpenVINO's own memory is written again by the next window.
            scores = np.array(self._request.infer([shown])[0], dtype=np.float32)
            results.append(scores[..., None] if self._flat else scores)
        return results[0] if len(results) == 1 else np.concatenate(results)
