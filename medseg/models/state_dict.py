"""Reads plain weights, safetensors or PyTorch's own files, without running anything in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from medseg.errors import ModelError, first_line

# Where checkpoints keep the weights, most telling first.
PLACES = ("state_dict", "model_state_dict", "model", "network", "net", "network_weights")


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read weights by name.

    - `path`: ``.safetensors``, or a file of `torch.save` with tensors and plain containers in it. Prefixes that
      wrappers for several GPUs and compilation leave are taken away.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        try:
            found: Any = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"the weights are not safetensors ({first_line(error)})", where=path, fix="Copy or download it again."
            ) from error
    else:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # the unpickler raises whatever a damaged file makes it raise
            raise ModelError(
                f"the weights cannot be read without running code from the file ({first_line(error)[:160]})",
                where=path,
                fix="Save the state dict alone: torch.save(network.state_dict(), 'model.pt'), or as safetensors.",
            ) from error
    for _ in range(2):
        inner = next((found[k] for k in PLACES if isinstance(found, dict) and isinstance(found.get(k), dict)), None)
        found = found if inner is None else inner
    weights = {
        str(name).removeprefix("module.").removeprefix("_orig_mod."): tensor
        for name, tensor in (found.items() if isinstance(found, dict) else ())
        if isinstance(tensor, torch.Tensor)
    }
    if not weights:
        raise ModelError(
            "there are no weights in it",
            where=path,
            fix="Save the state dict: torch.save(network.state_dict(), 'model.pt').",
        )
    return weights
