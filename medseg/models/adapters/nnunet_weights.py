"""An nnU-Net checkpoint's weights under the names and in the axis order of medseg's U-Net.

The two networks are the same function: medseg omits the bias of a convolution whose result is normalized, because
normalization takes it away again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from medseg.errors import ModelError, first_line
from medseg.models.adapters.nnunet_plans import Axes

Weights = Mapping[str, torch.Tensor]

# nnU-Net's name of a layer, as a regular expression, and medseg's. {last} is the number of decoder stages less one:
# nnU-Net counts them from the coarsest, medseg from the finest.
_LAYERS: tuple[tuple[str, str], ...] = (
    (r"encoder\.stem\.convs\.0\.(conv|norm)", r"encoder.stem.\1"),
    (r"encoder\.stages\.(\d+)\.0\.convs\.(\d+)\.(conv|norm)", r"encoder.stages.\1.blocks.\2.\3"),
    (r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.conv1\.(conv|norm)", r"encoder.stages.\1.blocks.\2.first.\3"),
    (r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.conv2\.(conv|norm)", r"encoder.stages.\1.blocks.\2.second.\3"),
    (r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.skip\.(\d+)\.(conv|norm)", r"encoder.stages.\1.blocks.\2.past.\3.\4"),
    (r"decoder\.transpconvs\.(\d+)", r"decoder.stages.{\1}.up.conv"),
    (r"decoder\.stages\.(\d+)\.convs\.(\d+)\.(conv|norm)", r"decoder.stages.{\1}.blocks.\2.\3"),
    (r"decoder\.seg_layers\.(\d+)", r"decoder.heads.{\1}"),
)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    PyTorch's restricted unpickler, which builds tensors and plain containers; besides, the plain NumPy numbers that
    nnU-Net keeps in its log.
    """
    from numpy._core.multiarray import scalar

    # NumPy moved the function with version 2; checkpoints of either name it.
    harmless: list[Any] = [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    harmless += [np.dtype, *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool"))]
    try:
        with torch.serialization.safe_globals(harmless):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError("the checkpoint is missing", where=path, fix="Copy the whole results folder again.") from error
    except Exception as error:  # the unpickler raises whatever a damaged file makes it raise
        raise ModelError(
            f"the checkpoint cannot be read without running code from it ({first_line(error)[:200]})",
            where=path,
            fix="Copy it again; a checkpoint that needs more than weights and numbers is not read.",
        ) from error
    if not isinstance(content, dict) or "network_weights" not in content:
        raise ModelError(
            "this is not a checkpoint of nnU-Net version 2",
            where=path,
            fix="Give one that nnU-Net version 2 saved, such as checkpoint_final.pth.",
        )
    return content


def norm_of(weights: Weights) -> Literal["instance", "batch"]:
    """Which normalization the network has: batch normalization keeps running means."""
    return "batch" if any(name.endswith("running_mean") for name in weights) else "instance"


def renamed(weights: Weights, axes: Axes, where: Path) -> dict[str, torch.Tensor]:
    """Weights for medseg's U-Net."""
    weights = {re.sub(r"^(module\.|_orig_mod\.)+", "", name): tensor for name, tensor in weights.items()}
    # nnU-Net's modules refer to each other, so that most weights are stored two or three times.
    own = {n: t for n, t in weights.items() if ".all_modules." not in n and not n.startswith("decoder.encoder.")}
    last = max((int(m[1]) for n in own if (m := re.match(r"decoder\.transpconvs\.(\d+)\.", n))), default=0)
    result: dict[str, torch.Tensor] = {}
    for name, tensor in own.items():
        layer, _, part = name.rpartition(".")
        target = _layer(layer, last)
        if target is None:
            raise ModelError(
                f"the network has a layer '{layer}' that nnU-Net's own networks do not have",
                where=where,
                fix="Export the network as ONNX or TorchScript, and import that.",
            )
        if target.startswith("decoder.heads.") and target != "decoder.heads.0":
            continue  # heads for deep supervision serve in training only
        if part == "bias" and layer.endswith(".conv") and f"{layer[:-4]}norm.weight" in own:
            continue  # taken away by the normalization; see below for batch normalization
        if part == "weight" and tensor.ndim > 2:
            tensor = tensor.permute(0, 1, *(2 + axis for axis in axes.network))
        if part == "running_mean" and (bias := own.get(f"{layer[:-4]}conv.bias")) is not None:
            tensor = tensor - bias
        if part != "num_batches_tracked":
            result[f"{target}.{part}"] = tensor.float().contiguous()
        else:
            result[f"{target}.{part}"] = tensor
    return result


def _layer(name: str, last: int) -> str | None:
    for pattern, target in _LAYERS:
        if match := re.fullmatch(pattern, name):
            counted = match.expand(target)
            return re.sub(r"\{(\d+)\}", lambda number: str(last - int(number[1])), counted)
    return None
