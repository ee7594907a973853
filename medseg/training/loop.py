"""The training loop: steps, checkpoints, and where a run resumes."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from medseg.config.load import build
from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.errors import ConfigError, InputError, Interrupted
from medseg.signals import stop_requests
from medseg.training.checkpoint import check_same, read_checkpoint, write_checkpoint
from medseg.training.config import TrainConfig
from medseg.training.ema import Ema
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.patches import Batch, Patches
from medseg.training.schedule import Bounds, learning_rate
from medseg.training.step import Stepper
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")


@dataclass(frozen=True)
class EpochRecord:
    """Metrics by name of one epoch, from 0, and the steps done at its end."""

    epoch: int
    step: int
    metrics: dict[str, float]


class Loop:
    """A run that can stop after any step and resume as if it had not.

    Batches and augmentations are functions of seed and step; network, optimizer, average and counts are in the
    checkpoint; the learning rate follows from the step. Weights are therefore the same, bit for bit, however often a
    run bounded by epochs was interrupted, given one CPU process with the same number of threads. `extra` is kept with
    the checkpoint, for instance the tracker's run id.
    """

    def __init__(self, run: TrainingRun, network: nn.Module, patches: Patches, augmentation: Augmentation) -> None:
        config = run.config
        self.config = config
        self.network = network
        self.patches = patches
        self.checkpoint = run.checkpoint
        self.processes = run.processes
        self.clock = run.clock
        self.start = None if run.start is None else run.start.network_hash
        self.extra: dict[str, Any] = {}
        self.device = next(network.parameters()).device
        self.stepper = Stepper(run, network, augmentation)
        self.bounds = Bounds(
            None if config.epochs is None else config.epochs * config.iterations_per_epoch, config.time_budget
        )
        self.step = 0
        self.elapsed = 0.0
        self.resumed = False
        self._losses: list[float] = []
        if self.checkpoint.is_file():
            self._restore(read_checkpoint(self.checkpoint))

    @property
    def ema(self) -> Ema:
        """Average of the weights over the steps: what the package holds."""
        return self.stepper.ema

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.bounds.progress(self.step, self.elapsed) >= 1

    def reserve(self, seconds: float) -> None:
        """Take what is spent before the steps and kept for what follows them from the first process's time budget."""
        if self.bounds.seconds is not None and not self.resumed:
            left = self.processes.of_first(max(self.bounds.seconds - seconds, 1.0))
            self.bounds = Bounds(self.bounds.steps, left)

    def run(
        self,
        on_epoch: Callable[[EpochRecord], None],
        *,
        on_step: Callable[[float, float], None] | None = None,
    ) -> None:
        """Train to the end; a signal that asks to stop writes a checkpoint and raises `Interrupted`.

        Parameters
        ----------
        on_epoch : callable
            Called with each epoch when it ends.
        on_step : callable, optional
            Called after each step: the fraction of the run done, 0 to 1, and the loss.
        """
        if self.finished:
            return
        self.network.train()
        began = self.clock() - self.elapsed
        saved = time.monotonic()
        epoch_began, epoch_step = time.monotonic(), self.step
        waited = 0.0
        accumulate = self.config.sampling.accumulate
        last = None if self.bounds.steps is None else self.bounds.steps * accumulate
        with stop_requests() as asked:
            batches = self.patches.batches(self.step * accumulate, last)
            with contextlib.closing(batches):
                while self.bounds.progress(self.step, self.elapsed) < 1:
                    asking = time.monotonic()
                    taken = [next(batches) for _ in range(accumulate)]
                    waited += time.monotonic() - asking
                    loss = self._step(taken)
                    self.step += 1
                    now = time.monotonic()
                    stop, loss, self.elapsed = self.processes.mean(float(bool(asked)), loss, self.clock() - began)
                    self._take(loss)
                    if on_step is not None:
                        on_step(self.bounds.progress(self.step, self.elapsed), loss)
                    if self.step % self.config.iterations_per_epoch == 0:
                        rate = (self.step - epoch_step) / max(now - epoch_began, 1e-9)
                        on_epoch(self._record(rate, waited / max(now - epoch_began, 1e-9)))
                        epoch_began, epoch_step, waited = time.monotonic(), self.step, 0.0
                    if stop:
                        self.save()
                        raise Interrupted(asked[0] if asked else "a signal to another process")
                    if now - saved > self.config.checkpoint_every:
                        self.save()
                        saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Write the checkpoint; of several processes the first does."""
        if not self.processes.is_first:
            return
        write_checkpoint(
            self.checkpoint,
            {
                "config": self.config.model_dump_json(),
                "start": self.start,
                "threads": torch.get_num_threads(),
                "step": self.step,
                "seconds": self.bounds.seconds,
                "elapsed": self.elapsed,
                "losses": self._losses,
                "network": self.network.state_dict(),
                **self.stepper.state(),
                "extra": self.extra,
            },
        )

    def _step(self, taken: Sequence[Batch]) -> float:
        chosen = self.config.optimizer
        progress = self.bounds.progress(self.step, self.elapsed)
        rate = learning_rate(progress, peak=chosen.learning_rate, warm_up=chosen.warm_up, shape=chosen.schedule)
        # A step at rate 0, which the very first would be, moves nothing.
        return self.stepper.step(taken, self.step, max(rate, 1e-3 * chosen.learning_rate))

    def _take(self, loss: float) -> None:
        if math.isnan(loss):
            raise InputError(
                f"the loss is not a number (NaN) at step {self.step - 1}",
                where=self.checkpoint.parent,
                fix="Lower optimizer.learning_rate or set precision to fp32, and train into another --out.",
            )
        self._losses.append(loss)

    def _record(self, rate: float, waiting: float) -> EpochRecord:
        losses, self._losses = self._losses, []
        metrics = {
            "loss": sum(losses) / len(losses),
            "learning_rate": self.stepper.rate,
            "steps_per_second": rate,
            "data_wait_fraction": waiting,
        }
        return EpochRecord(self.step // self.config.iterations_per_epoch - 1, self.step, metrics)

    def _restore(self, state: dict[str, Any]) -> None:
        stored = build(TrainConfig, parse_json(state["config"]), where=self.checkpoint)
        check_same(stored, self.config, self.checkpoint.parent)
        if state.get("start") not in (None, self.start):
            raise ConfigError(
                f"the run in this folder started from other weights than those that {self.config.start} holds now",
                where=self.checkpoint.parent,
                fix="Start from the same package, such as models:/NAME/VERSION, or choose another --out.",
            )
        if state["threads"] != torch.get_num_threads() and self.device.type == "cpu":
            log.warning(
                "The run was started with %s, so weights may differ in the last bits.",
                counted(state["threads"], "thread"),
            )
        self.network.load_state_dict(state["network"])
        self.stepper.load(state)
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        self._losses = [float(loss) for loss in state["losses"]]
        seconds = state["seconds"]
        if seconds is not None and self.config.time_budget is not None and stored.time_budget is not None:
            # A longer budget adds to what was left for steps after preparing and validating.
            seconds += self.config.time_budget - stored.time_budget
        self.bounds = Bounds(self.bounds.steps, seconds)
        self.extra = {**self.extra, **state["extra"]}
        self.resumed = True
