"""What nnU-Net's plans and dataset files tell of a network and its input, in medseg's words and axis order.

nnU-Net holds arrays as (Z, Y, X) and may permute them further (``transpose_forward``); a card counts X, Y, Z. A plain
permutation of axes leads from one to the other, `Axes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medseg.errors import FormatLimitation, ModelError
from medseg.models.card import ClassCard, NetworkCard
from medseg.prepare.card import ChannelCard, ForegroundCard, InputCard, NormalizationCard, ResamplingCard
from medseg.types.labels import PALETTE

Json = Mapping[str, Any]
# What is left for a model that medseg would run otherwise than nnU-Net does.
ITS_OWN_WAY = "Run it with nnU-Net itself; medseg evaluates and exports the labels it writes."
THE_ONE_TRAINED = "Use the dataset.json that nnU-Net wrote beside the model when it was trained."
AXES: tuple[Literal[0], Literal[1], Literal[2]] = (0, 1, 2)

_NORMALIZATIONS: dict[str, str] = {
    "ZScoreNormalization": "zscore",
    "CTNormalization": "clip_zscore",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "range",
    "RGBTo01Normalization": "rescale",
}
_MODALITIES = {"CT": "CT", "MRI": "MR", "MR": "MR", "PET": "PT"}


@dataclass(frozen=True)
class Axes:
    """Where nnU-Net's axes go.

    - `network`: axis ``i`` of medseg's network is this one of nnU-Net's network, which has two or three.
    - `scan`: axis ``i`` of medseg's network is this one of the scan, X, Y or Z.
    """

    network: tuple[int, ...]
    scan: tuple[int, int, int]

    @classmethod
    def from_transpose(cls, transpose_forward: Sequence[int], dimensions: int) -> Axes:
        """Axes of a network that sees (Z, Y, X) permuted by `transpose_forward`, two-dimensional ones in slices."""
        # Axis j of nnU-Net's array is this axis of the scan.
        of_scan = [2 - int(axis) for axis in transpose_forward]
        if dimensions == 3:
            return cls(tuple(of_scan.index(axis) for axis in range(3)), (0, 1, 2))
        across, *within = of_scan
        first, second = sorted(within)
        return cls((within.index(first), within.index(second)), (first, second, across))

    def order(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Values given for nnU-Net's axes, for medseg's."""
        return tuple(values[axis] for axis in self.network)


def configuration(plans: Json, name: str) -> dict[str, Any]:
    """One configuration of the plans with what it inherits."""
    known = plans.get("configurations", {})
    merged: dict[str, Any] = {}
    visited: list[str] = []
    wanted: str | None = name
    while wanted is not None:
        if wanted not in known or wanted in visited:
            raise ModelError(f"the plans have no configuration '{wanted}'", fix=f"They have: {', '.join(known)}.")
        visited.append(wanted)
        merged = {**known[wanted], **merged}
        wanted = known[wanted].get("inherits_from")
    return merged


def network_card(settings: Json, axes: Axes, norm: Literal["instance", "batch"]) -> NetworkCard:
    """Find medseg's U-Net that is the same function as the configuration's network.

    - `norm`: as the weights show it; the plans are silent about trainers that change it.
    """
    kind, arguments = _architecture(settings)
    unusual = {
        "nonlin": arguments.get("nonlin") not in ("torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU"),
        "nonlin_kwargs": (arguments.get("nonlin_kwargs") or {}).get("negative_slope", 0.01) != 0.01,
        "norm_op_kwargs": (arguments.get("norm_op_kwargs") or {}).get("eps", 1e-5) != 1e-5,
        "nonlin_first": bool(arguments.get("nonlin_first")),
        "stem_channels": arguments.get("stem_channels") not in (None, _first(arguments["features_per_stage"])),
        "bottleneck_channels": arguments.get("bottleneck_channels") is not None,
    }
    if any(unusual.values()):
        key = next(key for key, found in unusual.items() if found)
        raise FormatLimitation(
            f"the network has {key} {arguments.get(key)!r}, which medseg's U-Net does not have", fix=ITS_OWN_WAY
        )
    stages = int(arguments["n_stages"])
    residual = kind == "ResidualEncoderUNet"
    blocks = arguments["n_blocks_per_stage" if residual else "n_conv_per_stage"]
    decoder = _each(arguments["n_conv_per_stage_decoder"], stages - 1)
    dimensions = len(axes.network)
    return NetworkCard(
        name="unet",
        dimensions=2 if dimensions == 2 else 3,
        arguments={
            "features": _each(arguments["features_per_stage"], stages),
            "strides": [list(axes.order(_each(stride, dimensions))) for stride in _each(arguments["strides"], stages)],
            "kernels": [list(axes.order(_each(k, dimensions))) for k in _each(arguments["kernel_sizes"], stages)],
            "blocks": _each(blocks, stages),
            # nnU-Net lists the decoder coarsest first.
            "decoder_blocks": decoder[::-1],
            "encoder": "residual" if residual else "plain",
            "norm": norm,
        },
    )


def input_card(
    plans: Json, settings: Json, dataset: Json, axes: Axes, mirror: Sequence[int] | None, fingerprint: Json | None
) -> InputCard:
    """What nnU-Net does to a scan before its network sees it.

    - `plans`, `settings`, `dataset`: ``plans.json``, the configuration as `configuration` gives it, ``dataset.json``.
    - `fingerprint`: ``dataset_fingerprint.json``, for the range of spacings.
    """
    flat = len(axes.network) == 2
    patch, spacing = axes.order(settings["patch_size"]), settings["spacing"]
    wanted = axes.order(spacing[-2:] if flat else spacing)
    reorients = plans.get("image_reader_writer") == "NibabelIOWithReorient"
    return InputCard(
        channels=_channels(plans, settings, dataset),
        orientation="RAS" if reorients else "stored",
        axis_order=axes.scan,
        spacing=(*wanted, None) if flat else wanted,
        resampling=_resampling(settings),
        mirror_axes=tuple(i for i in AXES[: len(axes.network)] if axes.network[i] in (mirror or ())),
        patch=(*patch, 1) if flat else patch,
        crop_to_nonzero=True,
        expected_spacing=_range(fingerprint["spacings"], axes) if fingerprint else None,
    )


def labels(dataset: Json) -> tuple[tuple[ClassCard, ...], tuple[int, ...] | None]:
    """Classes, and for a network of regions the value each of its channels writes."""
    named = {name: value for name, value in dataset["labels"].items() if name != "ignore"}
    if not any(isinstance(value, list) for value in named.values()):
        ordered = sorted((int(value), name) for name, value in named.items())
        if [value for value, _ in ordered] != list(range(len(ordered))):
            raise ModelError("the labels are not 0, 1, 2, ... without gaps", where="dataset.json", fix=THE_ONE_TRAINED)
        return tuple(_class(value, name) for value, name in ordered[1:]), None
    regions = {name: value for name, value in named.items() if value not in (0, [0])}
    written = tuple(int(value) for value in dataset["regions_class_order"])
    if len(written) != len(regions):
        raise ModelError(
            "regions_class_order does not have one value for each region", where="dataset.json", fix=THE_ONE_TRAINED
        )
    return tuple(
        _class(value, name) for name, value in sorted(zip(regions, written, strict=True), key=lambda p: p[1])
    ), written


def low_resolution_stage_labels(dataset: Json) -> tuple[int, ...]:
    """Labels the second stage of a cascade is shown as channels, in order: all but background and ignored."""
    values: set[int] = set()
    for name, value in dataset["labels"].items():
        if name != "ignore":
            values |= {int(v) for v in value} if isinstance(value, list) else {int(value)}
    return tuple(sorted(values - {0}))


def _class(value: int, name: str) -> ClassCard:
    return ClassCard(value=value, name=name, color=PALETTE[(value - 1) % len(PALETTE)])


def _architecture(settings: Json) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the network; plans before version 2.3 hold them differently."""
    if "architecture" in settings:
        kind = str(settings["architecture"]["network_class_name"]).rpartition(".")[2]
        arguments = dict(settings["architecture"]["arch_kwargs"])
    else:
        kind = str(settings.get("UNet_class_name"))
        blocks = settings["n_conv_per_stage_encoder"]
        base, most = settings["UNet_base_num_features"], settings["unet_max_num_features"]
        arguments = {
            "n_stages": len(blocks),
            "features_per_stage": [min(base * 2**stage, most) for stage in range(len(blocks))],
            "kernel_sizes": settings["conv_kernel_sizes"],
            "strides": settings["pool_op_kernel_sizes"],
            "n_blocks_per_stage" if kind == "ResidualEncoderUNet" else "n_conv_per_stage": blocks,
            "n_conv_per_stage_decoder": settings["n_conv_per_stage_decoder"],
            "nonlin": "torch.nn.LeakyReLU",
        }
    if kind not in ("PlainConvUNet", "ResidualEncoderUNet"):
        raise FormatLimitation(
            f"the network is a {kind}", fix="medseg reads nnU-Net's PlainConvUNet and ResidualEncoderUNet."
        )
    return kind, arguments


def _channels(plans: Json, settings: Json, dataset: Json) -> tuple[ChannelCard, ...]:
    names = dataset.get("channel_names") or dataset["modality"]
    measured = plans.get("foreground_intensity_properties_per_channel") or plans.get(
        "foreground_intensity_properties_by_modality", {}
    )
    cards = []
    for index, name in names.items():
        scheme = settings["normalization_schemes"][int(index)]
        if scheme not in _NORMALIZATIONS:
            raise FormatLimitation(
                f"channel {name} is normalized by {scheme}, which is not one of nnU-Net's own", fix=ITS_OWN_WAY
            )
        masked = bool(settings["use_mask_for_norm"][int(index)]) and scheme == "ZScoreNormalization"
        values: dict[str, Any] = {"scheme": _NORMALIZATIONS[scheme], "nonzero_only": masked}
        if scheme == "CTNormalization":
            found = measured[index]
            values |= {"lower": found["percentile_00_5"], "upper": found["percentile_99_5"]}
            values |= {"mean": found["mean"], "std": found["std"]}
        if scheme == "RGBTo01Normalization":
            values |= {"lower": 0.0, "upper": 255.0}
        modality = _MODALITIES.get(str(name).upper())
        normalization = NormalizationCard(**values)
        cards.append(
            ChannelCard(
                name=str(name),
                modality=modality,
                normalization=normalization,
                foreground=_foreground(measured.get(index)),
            )
        )
    return tuple(cards)


def _foreground(intensities: Json | None) -> ForegroundCard | None:
    if not intensities:
        return None
    return ForegroundCard(low=intensities["percentile_00_5"], high=intensities["percentile_99_5"])


def _resampling(settings: Json) -> ResamplingCard:
    separations = set()
    for what in ("data", "probabilities"):
        name = settings[f"resampling_fn_{what}"]
        given = settings.get(f"resampling_fn_{what}_kwargs", {})
        order, separate = given.get("order", 3), given.get("force_separate_z", False)
        if name == "resample_torch_fornnunet":
            order = 1
        elif name != "resample_data_or_seg_to_shape" or given.get("order_z", 0) != 0:
            raise FormatLimitation(
                f"{what} are resampled by {name} {dict(given)}, which medseg does not know", fix=ITS_OWN_WAY
            )
        if what == "probabilities" and order != 1:
            raise FormatLimitation(
                f"probabilities are resampled with order {order}; medseg does so linearly", fix=ITS_OWN_WAY
            )
        if what == "data" and order not in (1, 3):
            raise FormatLimitation(f"scans are resampled with order {order}; medseg knows 1 and 3", fix=ITS_OWN_WAY)
        separations.add(separate)
        if what == "data":
            data_order: Literal[1, 3] = 1 if order == 1 else 3
    if len(separations) > 1:
        raise FormatLimitation("scans and probabilities are resampled with different force_separate_z", fix=ITS_OWN_WAY)
    return ResamplingCard(order=data_order, separate_slices=separations.pop())


def _range(spacings: Sequence[Sequence[float]], axes: Axes) -> tuple[Any, Any]:
    """Smallest and largest spacing of the cases, along medseg's axes; the fingerprint has them along Z, Y, X."""
    own = [[float(mm[2 - axis]) for axis in axes.scan] for mm in spacings]
    columns = list(zip(*own, strict=True))
    return tuple(min(column) for column in columns), tuple(max(column) for column in columns)


def _each(value: Any, count: int) -> list[Any]:
    """One value for all, or a list of so many."""
    return [value] * count if isinstance(value, int) else list(value)


def _first(value: Any) -> Any:
    return value if isinstance(value, int) else value[0]
