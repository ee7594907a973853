"""Computes an exported network with OpenVINO: the fastest on Intel CPUs, and no PyTorch to import."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import MissingDependency, ModelError, first_line
from medseg.infer.agreement import EnsembleAgreement
from medseg.infer.engines.precision import Precision
from medseg.models.card import ModelCard

# Memory it takes as a multiple of the results alive together in float32, measured: 1.0 to 1.1, and 0.5 to 0.6 in
# bfloat16. Scores are there three times more: in its layout, in the caller's, and the caller's of the window before.
# WORKING_FIXED is for itself.
WORKING_FRACTION: dict[Precision, float] = {"float32": 1.1, "bfloat16": 0.6, "int8": 1.1}
WORKING_FIXED = 16 << 20


class OpenVinoEngine:
    """A network as ONNX, or as OpenVINO writes it, in OpenVINO on the CPU.

    - `activations`: bytes of its results alive together in float32, for the memory it will take.
    - `precision`: OpenVINO by itself takes bfloat16 where the CPU has it; here the caller decides. A network for int8
      has been quantized, and runs what is not quantized in bfloat16 where the CPU has it.
    """

    def __init__(self, path: Path, card: ModelCard, activations: int, precision: Precision = "float32") -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingDependency("OpenVINO is not installed", fix="Install medseg[openvino].") from error
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16",
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot read the network ({first_line(error)[:160]})",
                where=path,
                fix="Export it again with medseg models export --format onnx, or use --engine torch.",
            ) from error
        self._request = compiled.create_infer_request()
        self._flat = card.network.dimensions == 2
        self.agreement = EnsembleAgreement.from_card(card) if len(compiled.outputs) > 1 else None
        scores = 4 * card.n_outputs * math.prod(card.input.patch)
        self.working_bytes = int(WORKING_FRACTION[precision] * activations) + 3 * scores + WORKING_FIXED
        self.name = f"openvino {openvino.__version__.partition('-')[0]} cpu {precision}"

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores; see `Engine.run`."""
        results = []
        for window in windows[:, None]:
            shown = window[..., 0] if self._flat else window
            # A copy: OpenVINO's own memory is written again by the next window.
            given = self._request.infer([shown])
            scores = np.array(given[0], dtype=np.float32)
            if self.agreement is not None:
                self.agreement.add(given[1])
            results.append(scores[..., None] if self._flat else scores)
        return results[0] if len(results) == 1 else np.concatenate(results)


def has_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this CPU, rather than falling back to float32."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
