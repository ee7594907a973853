"""Engines beside PyTorch, where they are installed."""

from importlib.util import find_spec

import pytest

from medseg.infer.engines import select
from medseg.infer.options import InferOptions

ENGINES = {"openvino": "openvino", "onnx": "onnxruntime"}
needs_onnx = pytest.mark.skipif(
    find_spec("onnx") is None or find_spec("onnxscript") is None, reason="ONNX is not installed (extra onnx)"
)


def engine(package, name):
    pytest.importorskip(ENGINES[name])
    return select.select_engine(package, InferOptions(engine=name, device="cpu"))
