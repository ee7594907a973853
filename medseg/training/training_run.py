"""`TrainingRun`: what is fixed for one training, from the first audit to the package."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from medseg.cluster.connection import OnCluster
from medseg.data.border_class import with_border
from medseg.data.dataset import Dataset
from medseg.models.package import ModelPackage
from medseg.tracking.resolve import resolve_model
from medseg.training.config import TrainConfig
from medseg.training.distributed import ALONE, Processes


@dataclass(frozen=True)
class TrainingRun:
    """Dataset, configuration, folder, device and time budget of one training; folds and stages are derived from it.

    Parameters
    ----------
    dataset : Dataset
        Read once; gets the border class that the configuration asks for.
    config : TrainConfig
        Every value, the plan's included.
    out : Path
        Folder of the run.
    device : torch.device
        Of this process.
    processes : Processes
        Those that train together.
    command : str
        The command line, for the card.
    prepared_in : Path, optional
        Folder of prepared cases that runs share; by default ``out/prepared``.
    started : float, optional
        `time.monotonic` at the start of the time budget; by default when training is called.
    compares_cleanup : bool
        Leave ``post_rules.csv``: what each clean-up would make of the held-out cases.
    measures_test : bool
        Measure the dataset's own test cases at the end; not for a run that is part of another.
    start : ModelPackage, optional
        The package that the configuration says weights start from; found by that name once, here where it is not given,
        because what a name such as ``models:/liver@champion`` means may change while the run lasts.
    cluster : OnCluster, optional
        Where folds train side by side; without it they train here, one after another.
    ensembles : int
        In how many ensembles with other configurations the held-out cases are measured too, for the time budget.
    steps_only : bool
        The caller measures and compares runs: the time budget is that of the steps alone, on a CPU in CPU seconds, so
        that a busy machine is fair to all; nothing is validated, and the network is not written as ONNX.
    """

    dataset: Dataset
    config: TrainConfig
    out: Path
    device: torch.device
    processes: Processes = ALONE
    command: str = ""
    prepared_in: Path | None = None
    started: float | None = None
    compares_cleanup: bool = False
    measures_test: bool = True
    ensembles: int = 0
    steps_only: bool = False
    cluster: OnCluster | None = None
    start: ModelPackage | None = None

    def __post_init__(self) -> None:
        if (self.config.start is None) != (self.start is None):
            found = None if self.config.start is None else resolve_model(self.config.start)
            object.__setattr__(self, "start", found)
        if self.config.border_mm is not None and self.dataset.border_mm is None:
            object.__setattr__(self, "dataset", with_border(self.dataset, self.config.border_mm))

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.config.name or self.dataset.package_name

    @property
    def prepared(self) -> Path:
        """Folder of the prepared cases."""
        return self.prepared_in or self.out / "prepared"

    @property
    def checkpoint(self) -> Path:
        """File of the checkpoint."""
        return self.out / "checkpoint.pt"

    @property
    def clock(self) -> Callable[[], float]:
        """Counts the seconds of the time budget."""
        return time.process_time if self.steps_only and self.device.type == "cpu" else time.monotonic

    def with_config(self, **changes: Any) -> TrainingRun:
        """Return the run with other values at the top level of its configuration."""
        return replace(self, config=self.config.model_copy(update=changes))

    def with_split(self, **changes: Any) -> TrainingRun:
        """Return the run with another number of folds, or another fold held out."""
        return self.with_config(split=self.config.split.model_copy(update=changes))
