"""Imports MONAI bundles: ``configs/metadata.json``, ``configs/inference.json`` and the weights, read as data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from medseg.errors import FormatLimitation, ModelError
from medseg.io.files.temporary import temporary_folder
from medseg.models.adapters.foreign_card import Foreign, class_cards
from medseg.models.adapters.monai_config import FIX, MonaiConfig, read_mapping, target
from medseg.models.adapters.monai_transforms import After, after_network, before_network, reads
from medseg.models.state_dict import read_state_dict
from medseg.models.unzip import extract, zip_names

METADATA = "configs/metadata.json"
CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
WEIGHTS = ("model.safetensors", "model.pt", "model.pth")
SCRIPTS = ("model.ts", "model_script.ts")
MODALITIES = {"CT": "CT", "MR": "MR", "MRI": "MR", "PET": "PT", "PT": "PT", "US": "US"}


def is_bundle(path: Path) -> bool:
    """Whether a folder or zip holds a MONAI bundle."""
    if path.is_dir():
        return _root(path) is not None
    return any(name == METADATA or name.endswith(f"/{METADATA}") for name in zip_names(path))


def read_bundle(path: Path, facts: Mapping[str, Any]) -> Foreign:
    """Read a bundle's card and weights; TorchScript is taken where there are no plain weights.

    - `facts`: the user's own card; what it holds is not looked for in the bundle.
    """
    opened: AbstractContextManager[str | Path] = temporary_folder() if path.is_file() else nullcontext(path)
    with opened as place:
        if path.is_file():
            extract(path, Path(place))
        root = _root(Path(place))
        if root is None:
            raise ModelError(
                f"the bundle has no {METADATA}",
                where=path,
                fix="Give the folder that holds configs and models, or its zip.",
            )
        metadata = read_mapping(root / METADATA)
        config = next((root / "configs" / name for name in CONFIGS if (root / "configs" / name).is_file()), None)
        models = root / "models"
        weights = next((models / name for name in WEIGHTS if (models / name).is_file()), None)
        script = next((models / name for name in SCRIPTS if (models / name).is_file()), None)
        if weights is None and script is None:
            names = ", ".join((*WEIGHTS, *SCRIPTS))
            raise ModelError(
                f"the bundle has no weights (models/ with one of {names})",
                where=path,
                fix="Download the bundle again, with its weights.",
            )
        read = None if config is None else MonaiConfig(config)
        if weights is not None:
            card = card_of(metadata, read, facts, with_network=True)
            return Foreign(card, "MONAI bundle", weights=read_state_dict(weights))
        assert script is not None
        card = card_of(metadata, read, facts, with_network=False)
        card["network"] = {"name": "torchscript", "dimensions": 3, **facts.get("network", {})}
        return Foreign(card, "MONAI bundle", whole=script.read_bytes())


def card_of(
    metadata: Mapping[str, Any], config: MonaiConfig | None, facts: Mapping[str, Any], *, with_network: bool
) -> dict[str, Any]:
    """Metadata and configuration as content of a model card; see `read_bundle` for errors."""
    data_format = metadata.get("network_data_format") or {}
    given, made = (_only(data_format.get(side)) for side in ("inputs", "outputs"))
    network = _network(config, facts) if with_network else {}
    channels = network.pop("in_channels", None) or given.get("num_channels") or len(_names(given)) or None
    outputs = network.pop("out_channels", None) or made.get("num_channels") or len(_names(made)) or None
    if not isinstance(channels, int) or not isinstance(outputs, int):
        raise FormatLimitation(
            f"{METADATA} does not give the number of input and output channels (network_data_format)",
            fix="Give it there, or under input: and classes: in a card (--card).",
        )
    names = _names(made)
    classes = {label: names.get(label, f"class-{label}") for label in range(1, outputs)}
    after = After()
    if config is not None and "post" not in facts:
        after = after_network(_transforms(config, "postprocessing"), classes)
    card: dict[str, Any] = {
        "title": str(metadata.get("description") or metadata.get("name") or "a MONAI bundle"),
        "version": str(metadata.get("version", "1")),
        "interpolated": after.interpolated,
        "post": after.post,
        "training": {
            "data": str(metadata.get("data_source") or "not stated by the bundle"),
            "license": str(metadata.get("license") or metadata.get("copyright") or "not stated by the bundle"),
            "command": f"MONAI bundle {metadata.get('name', 'without a name')} {metadata.get('version', '')}".strip(),
        },
        "limits": _limits(metadata, after),
        **({"network": network} if with_network else {}),
    }
    if "classes" not in facts:
        if after.regions:
            raise FormatLimitation(
                "its outputs are regions that may overlap, and the bundle does not give the label of each",
                fix="Give it under classes: and regions: in a card (--card); regions: the label of each output; "
                "overlapping: true keeps all that a voxel has.",
            )
        card["classes"] = class_cards(classes)
    card["input"] = _input(config, given, channels, facts)
    return card


def _root(folder: Path) -> Path | None:
    found = [p.parent.parent for pattern in (METADATA, f"*/{METADATA}") for p in sorted(folder.glob(pattern))]
    return found[0] if found else None


def _only(entries: Any) -> dict[str, Any]:
    """The format of the one input or output, or of the one named so."""
    if not isinstance(entries, Mapping) or not entries:
        return {}
    chosen = next((entries[name] for name in ("image", "pred") if name in entries), next(iter(entries.values())))
    return dict(chosen) if isinstance(chosen, Mapping) else {}


def _names(data_format: Mapping[str, Any]) -> dict[int, str]:
    defined = data_format.get("channel_def")
    if not isinstance(defined, Mapping):
        return {}
    return {int(key): str(value) for key, value in defined.items() if str(key).isdecimal()}


def _network(config: MonaiConfig | None, facts: Mapping[str, Any]) -> dict[str, Any]:
    if "network" in facts:
        return dict(facts["network"])
    if config is None:
        raise ModelError(
            f"the bundle has none of {', '.join(CONFIGS)} in configs/",
            fix="Give what it would hold under network: and input: in a card (--card).",
        )
    definition = config.get("network_def") or config.get("network")
    whole_name = str(definition.get("_target_", "")) if isinstance(definition, Mapping) else ""
    from medseg.models.networks.monai_class import CLASSES

    name = next((known for known in CLASSES if known.lower() == target(definition).lower()), None)
    if name is None or ("." in whole_name and not whole_name.startswith("monai.networks.")):
        raise FormatLimitation(
            f"key 'network_def': the network '{whole_name or definition}' is not one medseg builds",
            where=config.path.name,
            fix=f"It builds MONAI's {', '.join(CLASSES)}; else export it: monai.bundle ckpt_export, and import that.",
        )
    arguments = {key: value for key, value in definition.items() if not key.startswith("_")}
    return {
        "name": "monai",
        "dimensions": arguments.pop("spatial_dims", 2 if name == "FlexibleUNet" else 3),
        "in_channels": arguments.pop("in_channels", None),
        "out_channels": arguments.pop("out_channels", None),
        "arguments": {"name": name, "arguments": arguments},
    }


def _transforms(config: MonaiConfig, key: str) -> list[Mapping[str, Any]]:
    """The transforms under a key, Compose opened; of each only what matters is looked at."""
    value: Any = config.follow(key)
    if value is None:
        return []
    if isinstance(value, Mapping) and target(value) == "Compose":
        value = config.follow_value(value.get("transforms"), f"{key}::transforms")
    if not isinstance(value, list):
        raise FormatLimitation(f"key '{key}': it is not a list of transforms", where=config.path.name, fix=FIX)
    found: list[Mapping[str, Any]] = []
    for number, item in enumerate(value):
        transform = config.follow_value(item, f"{key}::{number}")
        if not isinstance(transform, Mapping) or "_target_" not in transform:
            raise FormatLimitation(f"key '{key}::{number}': it is not a transform", where=config.path.name, fix=FIX)
        found.append(config.resolve(reads(transform), f"{key}::{number}"))
    return found


def _input(
    config: MonaiConfig | None, given: Mapping[str, Any], channels: int, facts: Mapping[str, Any]
) -> dict[str, Any]:
    if "input" in facts and {"channels", "patch"} <= set(facts["input"]):
        return {}
    names = _names(given)
    modality = MODALITIES.get(str(given.get("modality", "")).upper())
    before = before_network(_transforms(config, "preprocessing") if config else [], channels)
    described = [
        {"name": names.get(i, f"channel-{i}"), "modality": modality, "normalization": before.normalization}
        for i in range(channels)
    ]
    return {**before.input, "channels": described, "patch": _patch(config, given, facts)}


def _patch(config: MonaiConfig | None, given: Mapping[str, Any], facts: Mapping[str, Any]) -> list[int]:
    if "patch" in facts.get("input", {}):
        return list(facts["input"]["patch"])
    inferer = (config.follow("inferer") if config else None) or {}
    if target(inferer) in ("SlidingWindowInferer", "SlidingWindowInfererAdapt"):
        assert config is not None
        size: Any = config.resolve(inferer.get("roi_size"), "inferer::roi_size")
    else:
        size = given.get("spatial_shape")
    size = [size] * 3 if isinstance(size, int) else size
    if not isinstance(size, list) or len(size) not in (2, 3) or not all(isinstance(n, int) and n > 0 for n in size):
        raise FormatLimitation(
            f"key 'inferer': the window size is not three whole numbers ({size!r})",
            fix="Give it under input: patch: in a card (--card).",
        )
    return [*size, 1][:3]


def _limits(metadata: Mapping[str, Any], after: After) -> list[str]:
    limits = [str(metadata["intended_use"])] if metadata.get("intended_use") else []
    if after.nearest:
        limits.append("The bundle brings labels back to the scan by the nearest voxel; medseg interpolates logits.")
    return limits
