"""Imports single files that are a network or its weights: ONNX, TorchScript, safetensors, PyTorch's state dicts."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.errors import FormatLimitation, ModelError, UsageError
from medseg.io.files.temporary import temporary_folder
from medseg.models.adapters.foreign_card import Foreign, class_cards
from medseg.models.adapters.monai_bundle import card_of
from medseg.models.adapters.monai_config import MonaiConfig
from medseg.models.family import require
from medseg.models.unzip import zip_names

WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt")


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript program rather than plain weights."""
    names = zip_names(path)
    return any("/code/" in name for name in names) and any(name.endswith("/constants.pkl") for name in names)


def read_torchscript(path: Path, facts: Mapping[str, Any]) -> Foreign:
    """Read a TorchScript file without running it; what MONAI's ``ckpt_export`` put into it besides is used."""
    card: dict[str, Any] = {}
    with temporary_folder() as folder:
        extra = _extra_files(path, Path(folder))
        if "metadata.json" in extra:
            config = next((MonaiConfig(file) for name, file in extra.items() if name.startswith("inference.")), None)
            metadata = parse_json(extra["metadata.json"].read_text(encoding="utf-8"))
            card = card_of(metadata, config, facts, with_network=False)
    card["network"] = {"name": "torchscript", "dimensions": 3, **facts.get("network", {})}
    return Foreign(card, "TorchScript", whole=path.read_bytes())


def read_onnx(path: Path) -> Foreign:
    """Read an ONNX file: channels, classes and window size from its graph."""
    require("onnx", extra="onnx", needed_by="importing ONNX")
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's errors have no base that could be imported by name
        raise ModelError(
            f"it is not ONNX ({str(error).strip()[:120]})", where=path, fix="Export it again with torch.onnx.export."
        ) from error
    graph = model.graph
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
        raise FormatLimitation(
            "its weights lie in other files", where=path, fix="Save it as one file: onnx.save(onnx.load(path), one)."
        )
    inner = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in inner]
    if len(inputs) != 1 or not graph.output:
        raise FormatLimitation(
            f"it has {counted(len(inputs), 'input')}; medseg gives a network one array of channels",
            where=path,
            fix="Export the network alone, with one input (1, channels, x, y, z).",
        )
    given, made = _sizes(inputs[0]), _sizes(graph.output[0])
    if len(given) not in (4, 5) or len(made) != len(given) or given[0] not in (None, 1):
        raise FormatLimitation(
            f"its input has the shape {given}, its output {made}; medseg gives it one window (1, channels, x, y, z)",
            where=path,
            fix="Export it with such a window as its input, and as many output channels as classes.",
        )
    flat = len(given) == 4
    card: dict[str, Any] = {"network": {"name": "onnx", "dimensions": 2 if flat else 3}, "input": {}}
    if all(given[2:]):
        card["input"]["patch"] = [*given[2:], 1][:3]
    if given[1]:
        card["input"]["channels"] = [{"name": f"channel-{i}"} for i in range(given[1])]
    if made[1] and made[1] > 1:
        card["classes"] = class_cards({label: f"class-{label}" for label in range(1, made[1])})
    return Foreign(card, "ONNX", whole=path.read_bytes())


def read_bare(path: Path, facts: Mapping[str, Any]) -> Foreign:
    """Read plain weights of a network the user's card names."""
    from medseg.models.state_dict import read_state_dict

    if "network" not in facts:
        raise UsageError(
            "the weights alone do not say which network they belong to",
            where=path,
            fix="Give it under network: in a YAML file of the same name beside it, or with --card.",
        )
    return Foreign({}, "weights", weights=read_state_dict(path))


def _extra_files(path: Path, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            parent, _, name = entry.filename.rpartition("/")
            if parent.endswith("/extra") and name.endswith((".json", ".yaml", ".yml")) and entry.file_size < 1 << 24:
                found[name] = folder / f"{len(found)}{Path(name).suffix}"
                found[name].write_bytes(archive.read(entry))
    return found


def _sizes(value: Any) -> list[int | None]:
    return [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]
