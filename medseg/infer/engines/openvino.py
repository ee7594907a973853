"""Computes an exported network with OpenVINO: the fastest on Intel CPUs, and no PyTorch to import."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from medseg.errors import MissingDependency, ModelError, first_line
from medseg.infer.agreement import EnsembleAgreement
from medseg.infer.engines.base import with_window
from medseg.infer.engines.openvino_graph import network_bytes, sum_in_parts, without_output_layer
from medseg.infer.engines.precision import Precision
from medseg.infer.output_layer import scores_of_window
from medseg.models.card import ModelCard
from medseg.threads import thread_limit

# Memory it takes as a multiple of the results alive together in float32, measured: 1.0 to 1.1, and 0.5 to 0.6 in
# bfloat16. The scores it returns lie in its own memory. WORKING_FIXED is for itself.
WORKING_FRACTION: dict[Precision, float] = {"float32": 1.1, "bfloat16": 0.6, "int8": 1.1}
WORKING_FIXED = 16 << 20
# Window sizes whose networks are kept ready.
WINDOWS_KEPT = 4
Size = tuple[int, int, int]


class OpenVinoEngine:
    """A network as ONNX, or as OpenVINO writes it, in OpenVINO on the CPU.

    - `multiple`: what the sides of a window must be multiples of, where the network may be shown others than its own.
    - `activations`: bytes of its results alive together in float32, for the memory it will take.
    - `output_layer`: the network's last one, where that is computed apart.
    - `precision`: OpenVINO by itself takes bfloat16 where the CPU has it; here the caller decides. A network for int8
      has been quantized, and runs what is not quantized in bfloat16 where the CPU has it.
    """

    def __init__(
        self,
        path: Path,
        card: ModelCard,
        activations: int,
        precision: Precision = "float32",
        *,
        multiple: tuple[int, ...] | None = None,
    ) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingDependency("OpenVINO is not installed", fix="Install it with pip install openvino.") from error
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if (limit := thread_limit()) is not None:  # which it does not look at, as torch does
            settings["INFERENCE_NUM_THREADS"] = limit
        try:
            network = openvino_core().read_model(str(path))
            if multiple is not None:
                network.reshape([1, card.channels, *card.input.patch[: card.network.dimensions]])
            if precision == "float32" and card.sums == "float16":  # which makes much of little
                sum_in_parts(network)
            network, self.output_layer = without_output_layer(network, openvino_core())
            results = activations if self.output_layer is None else min(activations, network_bytes(network))
            compiled = openvino_core().compile_model(network, "CPU", settings)
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot read the network ({first_line(error)[:160]})",
                where=path,
                fix="Export it again with medseg models export --format onnx, or use --engine torch.",
            ) from error
        self.precision = _computed_in(compiled, precision)
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self._compiled, self._local = compiled, threading.local()
        self._multiple = multiple
        made = partial(OpenVinoEngine, path, precision=precision, multiple=multiple)
        # Without this engine in it, so that it ends with its model and not when Python next looks for circles.
        self._resized = lru_cache(maxsize=WINDOWS_KEPT)(partial(_resized, made, card, activations))
        self._flat = card.network.dimensions == 2
        self.agreement = EnsembleAgreement.from_card(card) if len(compiled.outputs) > 1 else None
        self.working_bytes = int(WORKING_FRACTION[precision] * results) + WORKING_FIXED
        self.name = f"openvino {openvino.__version__.partition('-')[0]} cpu {self.precision}"

    @property
    def multiple(self) -> Size | None:
        """See `Engine.multiple`."""
        if self._multiple is None:
            return None
        x, y, z = self._multiple if len(self._multiple) == 3 else (*self._multiple, 0)
        return x, y, z

    def resized(self, window: Size) -> OpenVinoEngine:
        """See `Engine.resized`."""
        return self._resized(window)

    def _request(self) -> Any:
        """The request of this thread alone: one that is shared is busy, and its results are overwritten."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        return self._local.request

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores; see `Engine.run`."""
        if self.output_layer is not None:
            return np.stack(
                [scores_of_window(self._result(window)[0], self.output_layer) for window in windows[:, None]]
            )
        return self.features(windows)

    def features(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute what `output_layer` makes scores of, shape (N, F, X, Y, Z); scores where it is None."""
        if len(windows) == 1:
            return self._result(windows)
        # Copies: each window's result is written where that of the one before was.
        return np.concatenate([self._result(window).copy() for window in windows[:, None]])

    def _result(self, window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The result for one window in OpenVINO's own memory, as a copy may be a gigabyte."""
        shown = window[..., 0] if self._flat else window
        given = self._request().infer([shown], share_inputs=True, share_outputs=True)
        if self.agreement is not None:
            self.agreement.add(given[1])
        scores = np.asarray(given[0], dtype=np.float32)
        return scores[..., None] if self._flat else scores


def _resized(
    make: Callable[[ModelCard, int], OpenVinoEngine], card: ModelCard, activations: int, window: Size
) -> OpenVinoEngine:
    larger = math.prod(window) / math.prod(card.input.patch)
    return make(with_window(card, window), math.ceil(activations * larger))


def _computed_in(compiled: Any, requested: Precision) -> Precision:
    """Precision that is truly computed in: OpenVINO takes float32 without a word where the CPU has no bfloat16."""
    kept = {"bf16": "bfloat16", "f32": "float32"}
    found = str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
    return requested if requested == "int8" else cast(Precision, kept.get(found, found))


@cache
def openvino_core() -> Any:
    """OpenVINO's core, the only one of the process, never given back.

    Its CPU plugin puts a stack for signals of its own in place (2026.4), and where several cores come and go out of
    order, one that is gone stays in place: the next signal that Python handles then ends the process.
    """
    import openvino

    return openvino.Core()
