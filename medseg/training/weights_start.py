"""Starts from a file of weights that others trained, which is no model package: ``--from FILE``."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from medseg.config.load import merged, under
from medseg.errors import ConfigError, ModelError
from medseg.io.files.file_hash import file_sha256
from medseg.models.weights_file import WeightsFile, is_weights_file, load_weights_file, read_weights_file
from medseg.training.config import PretrainedConfig

log = logging.getLogger("medseg.train")


@dataclass(frozen=True)
class WeightsStart:
    """A file of weights to start from, and what it makes of a configuration."""

    config: PretrainedConfig

    @cached_property
    def file(self) -> WeightsFile:
        """The weights, read once."""
        return read_weights_file(Path(self.config.file))

    def changed(self, planned: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        """Values of a configuration with the file's network, its authors' preparation and their schedule.

        - `planned`: all values.
        - `own`: those that a person's configuration states, which are kept.
        """
        name = under(own, "network").get("name")
        if name is not None and name != self.file.network["name"]:
            raise ConfigError(
                f"the weights of {self.file.kind} are those of the network {self.file.network['name']}, not {name}",
                where="network.name",
                fix="Omit network from the configuration, or --from.",
            )
        if under(planned, "network").get("dimensions", 3) != 3:
            raise ConfigError(
                f"{self.file.kind} is a 3D network, and 2D images or --configuration 2d need a 2D one",
                where=f"--from {self.config.file}",
                fix="Train without --from, or in 3D.",
            )
        values = merged(planned, {"input": self._input(planned), **self.file.training})
        values["network"] = self.file.network
        values = merged(values, own)
        pretrained = self.config.model_copy(update={"sha256": file_sha256(Path(self.config.file))})
        values["pretrained"] = pretrained.model_dump()
        return values

    def _input(self, planned: Mapping[str, Any]) -> dict[str, Any]:
        """The authors' preparation of every channel, and a patch that the network can take."""
        given = under(planned, "input")
        channels = [{**channel, "normalization": self.file.input["normalization"]} for channel in given["channels"]]
        multiple = _multiple(self.file.network)
        patch = [math.ceil(n / multiple) * multiple for n in given["patch"]]
        if max(patch) == multiple:  # its coarsest features would be one voxel, which has no deviation to divide by
            patch = [2 * multiple] * 3
        own = {key: value for key, value in self.file.input.items() if key != "normalization"}
        return {**own, "channels": channels, "patch": patch}


def weights_start(start: str | Path | None, values: Mapping[str, Any]) -> WeightsStart | None:
    """Return the file of weights that ``--from`` or a configuration names; None where it is a package or nothing."""
    stated = dict(under(values, "pretrained"))
    if start is not None and is_weights_file(start):
        stated["file"] = str(start)
    if not stated:
        return None
    if not stated.get("file"):
        raise ConfigError("it names no file of weights", where="pretrained", fix="Give the file: --from FILE.")
    if not stated.get("license"):
        raise ConfigError(
            "the license of the weights is not stated, and the card of the new model must say it",
            where=f"--from {stated['file']}",
            fix="Add what their authors state: --set 'pretrained.license=CC-BY-SA-4.0', for instance.",
        )
    made = WeightsStart(PretrainedConfig.model_validate(stated))
    log.info("Starting from the weights of %s.", made.file.kind)
    return made


def load_weights(network: nn.Module, config: PretrainedConfig) -> None:
    """Give a network the weights that a configuration names; raises `ModelError` where the file is another by now."""
    path = Path(config.file)
    file = read_weights_file(path)
    if config.sha256 and file_sha256(path) != config.sha256:
        raise ModelError(
            "the file of weights is not the one that the run was configured with",
            where=path,
            fix="Train into another --out, or bring the first file back.",
        )
    load_weights_file(network, file, path)
    log.info("The weights start from %s of %s; the outputs start at random.", path.name, file.kind)


def _multiple(network: Mapping[str, Any]) -> int:
    """What a patch must be a multiple of along each axis: every stage but the first halves it."""
    arguments = network["arguments"]
    return int(2 ** (len(arguments.get("features") or arguments["blocks_down"]) - 1))
