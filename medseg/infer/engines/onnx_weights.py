"""Lets an ONNX file that lies in its package refer to the package's weights, so that they are not stored twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json

# Smaller tensors, such as constants of operations, stay in the file.
WORTH_SHARING = 1024


def share_weights(path: Path, weights: Path) -> bool:
    """Replace each tensor of an ONNX file that stands byte for byte in a safetensors file by its place there.

    ONNX calls this external data; OpenVINO and ONNX Runtime read it from the folder the file lies in.

    - returns: whether any was found.
    """
    import onnx

    places = _places(weights)
    model = onnx.load(str(path))
    found = False
    for tensor in model.graph.initializer:
        content = onnx.numpy_helper.to_array(tensor).tobytes()
        if len(content) >= WORTH_SHARING and (offset := places.get(content)) is not None:
            _refer(tensor, weights.name, offset, len(content))
            found = True
    if found:
        path.write_bytes(model.SerializeToString())
    return found


def _places(weights: Path) -> dict[bytes, int]:
    """Content of each tensor of a safetensors file: the byte of the file where it begins."""
    content = weights.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")  # the length of the header, then the header, then tensors
    header = parse_json(content[8:begin])
    spans = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    return {content[begin + first : begin + last]: begin + first for first, last in spans}


def _refer(tensor: Any, name: str, offset: int, length: int) -> None:
    from onnx import TensorProto

    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
