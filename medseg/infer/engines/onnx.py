"""Computes an exported network with ONNX Runtime, which runs on every kind of CPU."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.errors import MissingDependency, ModelError, first_line
from medseg.infer.agreement import EnsembleAgreement
from medseg.models.card import ModelCard

# Memory the runtime takes as a multiple of the results alive together, measured: 1.1 for the first window, and 2.1 from
# the second on, when its arena has grown by doubling. WORKING_FIXED is for itself.
WORKING_FRACTION = 2.2
WORKING_FIXED = 16 << 20


class OnnxEngine:
    """An ONNX file in ONNX Runtime on the CPU, float32."""

    def __init__(self, path: Path, card: ModelCard, activations: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependency("ONNX Runtime is not installed", fix="Install medseg[onnx].") from error
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common base of their own
            raise ModelError(
                f"ONNX Runtime cannot read the network ({first_line(error)[:160]})",
                where=path,
                fix="Export it again with medseg models export --format onnx, or use --engine torch.",
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._flat = card.network.dimensions == 2
        self.agreement = EnsembleAgreement.from_card(card) if len(self._session.get_outputs()) > 1 else None
        scores = 4 * card.n_outputs * math.prod(card.input.patch)
        self.working_bytes = int(WORKING_FRACTION * activations) + 3 * scores + WORKING_FIXED
        self.name = f"onnxruntime {onnxruntime.__version__} cpu float32"

    multiple = None  # its sizes are in the file

    def resized(self, window: tuple[int, int, int]) -> OnnxEngine:
        """See `Engine.resized`."""
        raise ModelError("the network is written for windows of one size", fix="Use --engine openvino.")

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores; see `Engine.run`."""
        results: list[npt.NDArray[np.float32]] = []
        for window in windows[:, None]:
            scores, *found = self._session.run(None, {self._input: window[..., 0] if self._flat else window})
            if self.agreement is not None:
                self.agreement.add(found[0])
            results.append(scores[..., None] if self._flat else scores)
        return results[0] if len(results) == 1 else np.concatenate(results)
