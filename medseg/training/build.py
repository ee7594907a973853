"""Builds what a run trains with: the network and the loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from torch import nn

from medseg.errors import ConfigError
from medseg.models.interactive_card import OUTPUTS
from medseg.models.registry import build_network, load_pretrained
from medseg.training.config import TrainConfig
from medseg.training.device import memory_format
from medseg.training.interactive.warm_start import load_interactive_start
from medseg.training.loop import Loop
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.inputs import Inputs
from medseg.training.samples.patches import Patches
from medseg.training.samples.prepared import PreparedCase
from medseg.training.start_fit import class_names, output_rows
from medseg.training.warm_start import load_start
from medseg.training.weights_start import load_weights

log = logging.getLogger("medseg.train")


def build_loop(inputs: Inputs) -> Loop:
    """Build the network and the loop that trains it, or resumes from the run's checkpoint."""
    run = inputs.run
    config, data = run.config, run.dataset
    prior = () if inputs.low_resolution is None else inputs.low_resolution.values
    torch.manual_seed(config.seed)

    def built(outputs: int) -> nn.Module:
        return build_network(
            config.network.name,
            channels=len(data.channels) + len(prior) + config.map_channels,
            classes=outputs,
            dimensions=config.network.dimensions,
            arguments=config.network.arguments,
        )

    network = built(data.n_outputs if config.interactive is None else OUTPUTS)
    _check_patch(network, config)
    if not run.checkpoint.is_file():
        load_pretrained(network)
        if run.start is not None and config.interactive is not None:
            load_interactive_start(network, run.start, len(data.channels))
        elif run.start is not None:
            names = class_names(run.start.card, config.fine_tuning, config.classes)
            load_start(network, run.start, output_rows(run.start.card, data, names), built)
        if config.pretrained is not None:
            load_weights(network, config.pretrained)
    layout = memory_format(config.network.dimensions, network)
    network = network.to(device=run.device, memory_format=layout)  # type: ignore[call-overload]
    augmentation = Augmentation(
        config.augment,
        patch=config.input.patch,
        spacing=_spacing(config, inputs.cases),
        classes=len(data.parts) + 1,
        seed=config.seed,
        intensities=len(data.channels),
    )
    patches = Patches(
        inputs.cases,
        config.input.patch,
        config.sampling,
        seed=config.seed,
        processes=run.processes,
    ).with_regions(augmentation.region_of)
    loop = Loop(run, network, patches, augmentation)
    if loop.resumed:
        log.info("Resuming at step %d.", loop.step)
    elif config.time_budget is not None and not run.steps_only:
        # A run bounded by steps alone is the same however busy the machine is, so nothing is measured for it.
        loop.stepper.choose_method(len(inputs.cases[0].open()[0]) + config.map_channels)
    else:
        log.info("Each step computes %s.", loop.stepper.method)
    return loop


def _check_patch(network: nn.Module, config: TrainConfig) -> None:
    multiple: tuple[int, ...] = network.multiple  # type: ignore[assignment]
    patch = config.input.patch[: len(multiple)]
    if any(n % m for n, m in zip(patch, multiple, strict=True)):
        fitting = [math.ceil(n / m) * m for n, m in zip(patch, multiple, strict=True)]
        raise ConfigError(
            f"the network needs patches whose sizes are multiples of {list(multiple)}, not {list(patch)}",
            where="input.patch",
            fix=f"Use {fitting}.",
        )


def _spacing(config: TrainConfig, cases: Sequence[PreparedCase]) -> tuple[float, float, float]:
    """Spacing the network sees: the configured one, or where it is null the first case's."""
    x, y, z = config.input.spacing or (None, None, None)
    own = cases[0].facts.spacing
    return x or own[0], y or own[1], z or own[2]
