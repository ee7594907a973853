"""What a MONAI bundle does before and after its network, in a card's words.

Every transform is looked up by name in a list; one that is not there, or has an argument medseg would not honor, is
rejected by name. Nothing is approximated silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medseg.errors import FormatLimitation
from medseg.models.adapters.monai_config import target

Arguments = Mapping[str, Any]
# Transforms that change neither intensities nor grid.
HARMLESS = {
    "LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannelFirst", "EnsureType", "ToTensor", "CastToType",
    "ToDevice", "ToMetaTensor", "FromMetaTensor", "Identity",
}  # fmt: skip
# Arguments that do not change the result, whatever they are; most tell where MONAI keeps things.
INDIFFERENT = {
    "keys", "allow_missing_keys", "dtype", "lazy", "source_key", "start_coord_key", "end_coord_key", "transform",
    "orig_keys", "meta_keys", "orig_meta_keys", "meta_key_postfix", "device",
}  # fmt: skip
FIX = "Give what the network must be shown under `input:` in a card (--card)."


@dataclass
class Before:
    """What is known so far of the steps before the network: fields of a card's ``input``."""

    input: dict[str, Any] = field(default_factory=lambda: {"orientation": "stored", "spacing": None})
    normalization: dict[str, Any] = field(default_factory=lambda: {"scheme": "none"})
    resampled: bool = False


@dataclass
class After:
    """What is known so far of the steps after the network."""

    regions: bool = False
    activated: bool = False
    interpolated: str = "logits"
    nearest: bool = False
    post: list[dict[str, Any]] = field(default_factory=list)


def reads(transform: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a transform that matters: its name, and of one that changes something the arguments that do."""
    if _name(transform) in HARMLESS or _name(transform) == "SaveImage":
        return {"_target_": transform["_target_"]}
    return {key: value for key, value in transform.items() if key not in INDIFFERENT}


def before_network(transforms: Sequence[Mapping[str, Any]], channels: int) -> Before:
    """Translate a bundle's ``preprocessing``."""
    known = Before()
    for transform in transforms:
        name = _name(transform)
        if name in HARMLESS or transform.get("_disabled_") is True:
            continue
        if name not in _BEFORE:
            raise FormatLimitation(f"the transform '{target(transform)}' is not one medseg knows", fix=FIX)
        _BEFORE[name](known, _Taken(transform), channels)
    return known


def after_network(transforms: Sequence[Mapping[str, Any]], classes: Mapping[int, str]) -> After:
    """Translate a bundle's ``postprocessing``; the last argument names classes by label."""
    known = After()
    for transform in transforms:
        name = _name(transform)
        if name in HARMLESS or name == "SaveImage" or transform.get("_disabled_") is True:
            continue
        if name not in _AFTER:
            raise FormatLimitation(
                f"the transform '{target(transform)}' after the network is not one medseg knows",
                fix="Give the steps to take instead under `post:` in a card (--card); `post: []` for nothing.",
            )
        _AFTER[name](known, _Taken(transform), classes)
    return known


class _Taken:
    """Arguments of a transform, each to be taken once; what is left over must be the default or not matter."""

    def __init__(self, transform: Mapping[str, Any]) -> None:
        self.name = target(transform)
        self._left = {k: v for k, v in transform.items() if not k.startswith("_") and k not in INDIFFERENT}

    def take(self, name: str, default: Any = None) -> Any:
        value = self._left.pop(name, default)
        # One value for each key; there is one key, the scan.
        return value[0] if isinstance(value, list) and len(value) == 1 and name != "pixdim" else value

    def only(self, **usual: Any) -> None:
        """Reject every argument left that is not one of these with this value."""
        for name, value in self._left.items():
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
            if name not in usual or (value != usual[name] and value is not None):
                raise self.rejected(name, value)

    def rejected(self, name: str, value: Any) -> FormatLimitation:
        what = f"the transform '{self.name}' has {name} {value!r}, which medseg does not do"
        return FormatLimitation(what, fix=FIX)


def _name(transform: Mapping[str, Any]) -> str:
    name = target(transform)
    for ending in ("Dict", "D", "d"):
        if name.removesuffix(ending) in (*_BEFORE, *_AFTER, *HARMLESS, "SaveImage"):
            return name.removesuffix(ending)
    return name


def _orientation(known: Before, taken: _Taken, _channels: int) -> None:
    canonical = taken.take("as_closest_canonical", False)
    code = "RAS" if canonical else taken.take("axcodes")
    taken.only(labels=None, axcodes=None)
    if known.resampled or not isinstance(code, str) or len(code) != 3:
        raise taken.rejected("axcodes", code)
    known.input["orientation"] = code


def _spacing(known: Before, taken: _Taken, _channels: int) -> None:
    spacing, mode = taken.take("pixdim"), taken.take("mode", "bilinear")
    taken.only(diagonal=False, align_corners=False, scale_extent=False, padding_mode="border", recompute_affine=False,
               ensure_same_shape=True, min_pixdim=None, max_pixdim=None)  # fmt: skip
    orders = {"bilinear": 1, "trilinear": 1, "linear": 1, "1": 1, "3": 3}
    if str(mode).lower() not in orders:
        raise taken.rejected("mode", mode)
    spacing = [spacing] * 3 if isinstance(spacing, (int, float)) else list(spacing)
    if len(spacing) != 3:
        raise taken.rejected("pixdim", spacing)
    known.input["spacing"] = [float(mm) if mm > 0 else None for mm in spacing]
    known.input["resampling"] = {"order": orders[str(mode).lower()], "separate_slices": False, "aligned": "centers"}
    known.input["normalize_after_resampling"] = known.normalization["scheme"] == "none"
    known.resampled = True


def _range(known: Before, taken: _Taken, _channels: int) -> None:
    low, high = taken.take("a_min"), taken.take("a_max")
    to, clip = (taken.take("b_min"), taken.take("b_max")), taken.take("clip", False)
    taken.only()
    if None in (low, high, *to):
        raise taken.rejected("b_min", None)
    _normalize(known, taken, scheme="rescale", lower=low, upper=high, to=to, clip=clip)


def _percentiles(known: Before, taken: _Taken, channels: int) -> None:
    low, high = taken.take("lower"), taken.take("upper")
    to, clip, each = (
        (taken.take("b_min"), taken.take("b_max")),
        taken.take("clip", False),
        taken.take("channel_wise", False),
    )
    taken.only(relative=False)
    _one_channel(taken, channels, each)
    _normalize(known, taken, scheme="percentiles", lower=low, upper=high, to=to, clip=clip)


def _extremes(known: Before, taken: _Taken, channels: int) -> None:
    to, each = (taken.take("minv", 0.0), taken.take("maxv", 1.0)), taken.take("channel_wise", False)
    taken.only(factor=None)
    _one_channel(taken, channels, each)
    _normalize(known, taken, scheme="range", to=to)


def _zscore(known: Before, taken: _Taken, channels: int) -> None:
    mean, std = taken.take("subtrahend"), taken.take("divisor")
    nonzero, each = bool(taken.take("nonzero", False)), taken.take("channel_wise", False)
    taken.only()
    if (mean is None) != (std is None) or isinstance(mean, list) or (mean is not None and nonzero):
        raise taken.rejected("subtrahend", mean)
    if mean is not None:
        _normalize(known, taken, scheme="rescale", lower=mean, upper=mean + std)
        return
    _one_channel(taken, channels, each)
    _normalize(known, taken, scheme="zscore", nonzero_only=nonzero, fill_holes=False)


def _crop(known: Before, taken: _Taken, _channels: int) -> None:
    taken.only(margin=0, k_divisible=1, allow_smaller=False, mode="constant", channel_indices=None)
    above = 0.0
    if (scheme := known.normalization["scheme"]) != "none":
        # Positive after scaling is above this before it.
        low, high = known.normalization.get("lower"), known.normalization.get("upper")
        a, b = known.normalization.get("to", (0.0, 1.0))
        if scheme != "rescale" or low is None or high is None or not (high > low and b > a):
            raise taken.rejected("a place after", scheme)
        above = low + (0.0 - a) / (b - a) * (high - low)
    known.input["crop_above"] = above


def _normalize(known: Before, taken: _Taken, **values: Any) -> None:
    if known.normalization["scheme"] != "none":
        raise FormatLimitation(f"the transform '{taken.name}' is a second change of intensities", fix=FIX)
    known.normalization = values
    known.input["normalize_after_resampling"] = known.resampled


def _one_channel(taken: _Taken, channels: int, each: Any) -> None:
    if channels > 1 and not each:
        raise taken.rejected("channel_wise", False)


def _activations(known: After, taken: _Taken, _classes: Mapping[int, str]) -> None:
    softmax, sigmoid = taken.take("softmax", False), taken.take("sigmoid", False)
    taken.only(other=None)
    known.regions, known.activated = bool(sigmoid), bool(softmax or sigmoid)


def _invert(known: After, taken: _Taken, _classes: Mapping[int, str]) -> None:
    nearest = bool(taken.take("nearest_interp", True))
    taken.only(to_tensor=True, post_func=None)
    known.interpolated = "probabilities" if known.activated else "logits"
    known.nearest = nearest


def _discrete(known: After, taken: _Taken, _classes: Mapping[int, str]) -> None:
    argmax, threshold = bool(taken.take("argmax", False)), taken.take("threshold")
    taken.take("to_onehot")
    taken.only(rounding=None)
    if argmax and threshold is not None:
        raise taken.rejected("threshold", threshold)
    if threshold is not None and not (threshold == 0.5 and known.regions and known.activated):
        raise taken.rejected("threshold", threshold)
    known.regions = not argmax and threshold is not None


def _largest(known: After, taken: _Taken, classes: Mapping[int, str]) -> None:
    labels, count = taken.take("applied_labels"), taken.take("num_components", 1)
    independent = taken.take("independent", True)
    taken.only(is_onehot=None, connectivity=None)
    wanted = sorted(classes) if labels is None else [labels] if isinstance(labels, int) else list(labels)
    if not independent and len(wanted) > 1:
        raise taken.rejected("independent", independent)
    rule: dict[str, Any] = {"rule": "keep_largest", "count": count}
    if labels is not None:
        rule["classes"] = [classes[label] for label in wanted if label]
    known.post.append({"stage": "clean-up", "options": {"rules": [rule]}})


_BEFORE: dict[str, Callable[[Before, _Taken, int], None]] = {
    "Orientation": _orientation,
    "Spacing": _spacing,
    "ScaleIntensityRange": _range,
    "ScaleIntensityRangePercentiles": _percentiles,
    "ScaleIntensity": _extremes,
    "NormalizeIntensity": _zscore,
    "CropForeground": _crop,
}
_AFTER: dict[str, Callable[[After, _Taken, Mapping[int, str]], None]] = {
    "Activations": _activations,
    "Invert": _invert,
    "AsDiscrete": _discrete,
    "KeepLargestConnectedComponent": _largest,
}
