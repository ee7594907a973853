"""Turns a fingerprint into a training configuration by nnU-Net's published rules, with the reason of every choice.

Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z), and nnU-Net 2's `ExperimentPlanner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from medseg.data.dataset import Dataset
from medseg.data.fingerprint import Fingerprint
from medseg.data.mirror_pairs import Axis, axes_with_sides
from medseg.data.plan_grid import ANISOTROPY, CROP_BELOW, Configuration, GridPlanner
from medseg.data.presets import PRESETS, Preset
from medseg.errors import UsageError

CONFIGURATIONS: tuple[Configuration, ...] = ("3d_fullres", "3d_lowres", "2d")


@dataclass(frozen=True)
class Plan:
    """A configuration and why it is what it is."""

    values: dict[str, Any]
    reasons: dict[str, str] = field(default_factory=dict)


def make_plan(
    data: Dataset,
    fingerprint: Fingerprint,
    *,
    preset: str = "cpu",
    configuration: str | None = None,
    mirror: Sequence[Axis] | None = None,
    shows_classes: bool = False,
) -> Plan:
    """Plan the training of a dataset.

    - `mirror`: the network's axes to mirror patches along, as a person says; by default those of the preset along which
      no class is the mirror image of another.
    """
    if preset not in PRESETS:
        raise UsageError(f"there is no preset '{preset}'", where="--preset", fix=f"Use {', '.join(PRESETS)}.")
    chosen = configuration or ("2d" if data.dimensions == 2 else "3d_fullres")
    if chosen not in CONFIGURATIONS or (data.dimensions == 2 and chosen != "2d"):
        possible = ("2d",) if data.dimensions == 2 else CONFIGURATIONS
        raise UsageError(
            f"there is no configuration '{chosen}' for this dataset",
            where="--configuration",
            fix=f"Use {', '.join(possible)}.",
        )
    return _Planner(data, fingerprint, PRESETS[preset], chosen, mirror).plan(shows_classes=shows_classes)


class _Planner:
    def __init__(
        self,
        data: Dataset,
        fingerprint: Fingerprint,
        preset: Preset,
        configuration: Configuration,
        mirror: Sequence[Axis] | None,
    ) -> None:
        self.mirror = mirror
        self.data, self.fingerprint, self.preset, self.configuration = data, fingerprint, preset, configuration
        self.grid = GridPlanner(data, fingerprint, preset, configuration)
        self.reasons = self.grid.reasons

    def plan(self, *, shows_classes: bool = False) -> Plan:
        spacing = self.grid.spacing()
        order = self.grid.axis_order(spacing)
        if self.configuration == "3d_lowres":
            spacing = self.grid.coarser(spacing)
        if shows_classes and self.configuration != "2d":
            spacing = self.grid.showing_classes(spacing)
        topology, batch = self.grid.patch(spacing, order)
        patch = (*topology.patch, *((1,) if self.configuration == "2d" else ()))
        augment = self._augment(spacing, order)
        values = {
            "name": self.data.package_name,
            "input": {
                "channels": [self._channel(k) for k in range(len(self.data.channels))],
                "axis_order": list(order),
                "spacing": self._spacing_values(spacing, order),
                "crop_to_nonzero": self.grid.crop,
                "patch": list(patch),
            },
            "network": {
                "name": "unet",
                "dimensions": len(topology.patch),
                "arguments": {
                    "features": list(self.grid.features(len(topology.strides))),
                    "strides": [list(s) for s in topology.strides],
                    "kernels": [list(k) for k in topology.kernels],
                    "deep_supervision": True,
                },
            },
            "sampling": {"batch": batch, "foreground": 0.33},
            "augment": augment,
            "mirror": self._mirror(augment["flip"], order),
            **self.preset.training,
        }
        self.reasons["optimizer"] = self.preset.why
        if self.configuration == "2d" and self.preset.optimizer_2d is not None:
            values["optimizer"] = self.preset.optimizer_2d
            self.reasons["optimizer"] = self.preset.why_2d
        self.reasons["input.crop_to_nonzero"] = (
            f"Cropping to nonzero voxels leaves {100 * self.fingerprint.kept:.0f}% of the median scan; done below "
            f"{100 * CROP_BELOW:.0f}%."
        )
        return Plan(values, self.reasons)

    def _spacing_values(self, spacing: Sequence[float], order: Sequence[int]) -> list[float | None] | None:
        """Along the network's axes; slices of a 2D network keep their own distance."""
        if self.data.dimensions == 2:
            return None
        values: list[float | None] = [round(spacing[axis], 6) for axis in order]
        if self.configuration == "2d":
            values[2] = None
        return values

    def _channel(self, number: int) -> dict[str, Any]:
        """CT has a scale that means something, so that all scans share one normalization; other scans have none."""
        channel = self.data.channels[number]
        key = f"input.channels.{number}.normalization"
        if channel.modality == "CT":
            foreground = self.fingerprint.intensities[number]
            self.reasons[key] = (
                "CT: clipped to the foreground's 0.5 and 99.5 percentiles, scaled by its mean and deviation."
            )
            normalization: dict[str, Any] = {
                "scheme": "clip_zscore",
                "lower": round(foreground.low, 4),
                "upper": round(foreground.high, 4),
                "mean": round(foreground.mean, 4),
                "std": round(max(foreground.std, 1e-8), 4),
            }
        else:
            part = " of its nonzero part" if self.grid.crop else ""
            self.reasons[key] = (
                f"{channel.modality or 'Not CT'}: each scan is scaled by its own mean and deviation{part}."
            )
            normalization = {"scheme": "zscore", **({"nonzero_only": True} if self.grid.crop else {})}
        return {"name": channel.name, "modality": channel.modality, "normalization": normalization}

    def _augment(self, spacing: Sequence[float], order: Sequence[int]) -> dict[str, Any]:
        flat = self.configuration == "2d"
        values = {key: value for key, value in self.preset.augment.items() if key != "flip"}
        if not flat:
            values |= self.preset.augment_3d
            if self.preset.elastic_voxels is not None:
                low, high, apart = (round(n * min(spacing), 4) for n in self.preset.elastic_voxels)
                values |= {"elastic_mm": [low, high], "elastic_spacing": apart}
        values["flip"] = self._flip(["x", "y"] if flat else list(self.preset.augment["flip"]), order)
        if max(spacing) > ANISOTROPY * min(spacing) and not flat:
            self.reasons["augment.rotation"] = "Only in the plane of the thick slices."
        return values

    def _flip(self, wanted: list[Axis], order: Sequence[int]) -> list[Axis]:
        """Axes that patches are mirrored along: none along which one class would be taught as another."""
        if self.mirror is not None:
            self.reasons["augment.flip"] = "As plan.mirror says."
            return list(self.mirror)
        sides = axes_with_sides([c.name for c in self.data.table], self.fingerprint.mirrored, order=order)
        barred = {axis: why for axis, why in sides.items() if axis in wanted}
        self.reasons["augment.flip"] = "No class is the mirror image of another."
        if barred:
            text = "; ".join(f"not {axis}: {why}" for axis, why in barred.items())
            self.reasons["augment.flip"] = (
                f"{text[0].upper()}{text[1:]}. Mirrored, one would be taught as the other; plan.mirror overrules this."
            )
        return [axis for axis in wanted if axis not in barred]

    def _mirror(self, flip: Sequence[str], order: Sequence[int]) -> str:
        """Average over left and right in prediction, where the preset does and training mirrors them."""
        if self.configuration != "2d" and self.preset.mirror and "xyz"[order.index(0)] in flip:
            self.reasons["mirror"] = "Prediction averages over a mirrored copy, which takes twice the time."
            return "left-right"
        return "none"
