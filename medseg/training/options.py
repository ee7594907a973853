"""What a user asks of a training: the options of `medseg train`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from medseg.cluster.connection import OnCluster, require_ray
from medseg.errors import UsageError
from medseg.training.config import TrainConfig
from medseg.training.final_model import Final

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class TrainOptions:
    """Options of `medseg.training.run.train`, with the command line (for the card) and when the time budget started."""

    dataset: Path
    out: Path
    config: str | Path | TrainConfig | None = None
    time_budget: str | float | None = None
    epochs: int | None = None
    device: str = "auto"
    start: str | Path | None = None
    interactive: bool = False
    held_out: Path | None = None
    folds: str | None = None
    configuration: str | None = None
    final: Final = "all"
    processes: int = 1
    ray: str | None = None
    worker_cpus: int | None = None
    seed: int | None = None
    settings: tuple[str, ...] = ()
    command: str = ""
    started: float | None = None

    def __post_init__(self) -> None:
        if self.time_budget is not None:
            seconds_of(self.time_budget)
        self._check_cluster()
        self._check_interactive()
        if (self.folds or "").strip().lower() != "all":
            if "," in (self.configuration or ""):
                raise UsageError(
                    f"--configuration {self.configuration} needs cross-validation, which compares configurations",
                    fix="Add --folds all, or name one configuration.",
                )
            if self.final == "ensemble":
                raise UsageError(
                    "--final ensemble averages the models of cross-validation",
                    fix="Add --folds all, or use --final all.",
                )

    def _check_interactive(self) -> None:
        if not self.interactive:
            return
        for option, is_given in {
            "--folds": self.folds is not None,
            "--held-out": self.held_out is not None,
            "--configuration": (self.configuration or "3d_fullres") not in ("3d_fullres", "3d_lowres", "2d"),
        }.items():
            if is_given:
                raise UsageError(
                    "a model that takes clicks is one network, measured by simulated clicks",
                    where=option,
                    fix=f"Omit {option}, or --interactive.",
                )

    def _check_cluster(self) -> None:
        if self.ray is None:
            if self.worker_cpus is not None:
                raise UsageError(
                    "it is for the workers of a cluster", where="--worker-cpus", fix="Add --ray auto, or omit it."
                )
            return
        require_ray()
        if self.folds is None:
            raise UsageError(
                "a cluster trains folds side by side, and there are none", where="--ray", fix="Add --folds all."
            )
        if self.processes > 1:
            raise UsageError(
                "--ray and --processes exclude each other, because each fold has one process", fix="Choose one."
            )

    @property
    def cluster(self) -> OnCluster | None:
        """Where the folds train, if not here."""
        return None if self.ray is None else OnCluster(self.ray, self.worker_cpus, use_gpus=self.device != "cpu")

    def arguments(self) -> list[str]:
        """Arguments of the same command line; a configuration that is neither a name nor a path is omitted."""
        given = {
            "config": None if isinstance(self.config, TrainConfig) else self.config,
            "time-budget": None if self.time_budget is None else f"{seconds_of(self.time_budget):g}s",
            "epochs": self.epochs,
            "device": self.device,
            "from": self.start,
            "held-out": self.held_out,
            "folds": self.folds,
            "configuration": self.configuration,
            "final": self.final,
            "seed": self.seed,
            "ray": self.ray,
            "worker-cpus": self.worker_cpus,
        }
        options = [f"--{name}={value}" for name, value in given.items() if value is not None]
        options += ["--interactive"] * self.interactive
        changes = [f"--set={setting}" for setting in self.settings]
        return ["train", str(self.dataset), f"--out={self.out}", *options, *changes]


def seconds_of(duration: str | float) -> float:
    """Seconds of ``90s``, ``20m``, ``1.5h``, ``2d``, or of a number that is no text."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(duration).lower())
    if match is None or float(match[1]) <= 0 or (isinstance(duration, str) and not match[2]):
        raise UsageError(
            f"'{duration}' is not a duration with its unit", where="--time-budget", fix="Write 90s, 20m or 1.5h."
        )
    return float(match[1]) * _UNITS[match[2] or "s"]
