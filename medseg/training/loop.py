"""The training loop: steps, checkpoints, and where to go on."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medseg.errors import ConfigError, InputError, Interrupted
from medseg.signals import stop_requests
from medseg.training.checkpoint import read_checkpoint, write_checkpoint
from medseg.training.config import TrainConfig
from medseg.training.distributed import ALONE, Processes
from medseg.training.ema import Ema
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.patches import Batch, Patches
from medseg.training.schedule import Bounds, learning_rate
from medseg.training.step import Stepper

__all__ = ["EpochRecord", "Loop"]

log = logging.getLogger("medseg.train")


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch came to.

    Parameters
    ----------
    epoch : int
        From 0.
    step : int
        Steps done at its end.
    metrics : dict of str to float
        By name.
    """

    epoch: int
    step: int
    metrics: dict[str, float]


class Loop:
    """A run that can stop after any step and go on as if it had not.

    Batches and augmentations are functions of seed and step; network, optimizer, average and counts are in the
    checkpoint; the learning rate follows from the step. Weights are therefore the same, bit for bit, however often a
    run bounded by epochs was interrupted, given one CPU process with the same number of threads.

    Parameters
    ----------
    config : TrainConfig
        What to do.
    network : Module
        On its device.
    patches : Patches
        What to train on.
    augmentation : Augmentation
        Applied to every batch, on the device.
    dtype : torch.dtype
        Of the forward pass.
    checkpoint : Path
        Where to save, and to go on from if it is there.
    ignore : int, optional
        Class value that counts for nothing.
    members : Tensor of shape (parts + 1, regions), optional
        Which parts make which region, where classes are regions.
    processes : Processes
        Those that train the network together.
    extra : dict, optional
        Data kept with the checkpoint, for instance the tracker's run id. One found in a checkpoint wins.
    clock : callable
        Seconds of which the time budget speaks.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: nn.Module,
        patches: Patches,
        augmentation: Augmentation,
        *,
        dtype: torch.dtype,
        checkpoint: Path,
        ignore: int | None = None,
        members: Tensor | None = None,
        processes: Processes = ALONE,
        extra: dict[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.network = network
        self.patches = patches
        self.checkpoint = checkpoint
        self.processes = processes
        self.extra = dict(extra or {})
        self.clock = clock
        self.device = next(network.parameters()).device
        self.stepper = Stepper(
            config, network, augmentation, dtype=dtype, ignore=ignore, members=members, processes=processes
        )
        self.bounds = Bounds(
            None if config.epochs is None else config.epochs * config.iterations_per_epoch, config.time_budget
        )
        self.step = 0
        self.elapsed = 0.0
        self.resumed = False
        self._losses: list[float] = []
        if checkpoint.is_file():
            self._restore(read_checkpoint(checkpoint))

    @property
    def ema(self) -> Ema:
        """Average of the weights over the steps: what the package holds."""
        return self.stepper.ema

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.bounds.progress(self.step, self.elapsed) >= 1

    def run(
        self,
        on_epoch: Callable[[EpochRecord], None],
        *,
        on_step: Callable[[float, float], None] | None = None,
        reserve: float = 0.0,
    ) -> None:
        """Train to the end.

        Parameters
        ----------
        on_epoch : callable
            Told of each epoch when it ends.
        on_step : callable, optional
            Told of each step: the share of the run done, 0 to 1, and the loss.
        reserve : float
            Seconds of the time budget spent on what came before and kept for what follows.

        Raises
        ------
        Interrupted
            When a signal asked to stop; a checkpoint was written first.
        """
        if self.bounds.seconds is not None and not self.resumed:
            left = self.processes.of_first(max(self.bounds.seconds - reserve, 1.0))
            self.bounds = Bounds(self.bounds.steps, left)
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
        if loss != loss:
            raise InputError(
                f"the loss is not a number at step {self.step - 1}",
                where=self.checkpoint.parent,
                fix="Lower optimizer.learning_rate or set precision to fp32, and start in another --out.",
            )
        self._losses.append(loss)

    def _record(self, rate: float, waiting: float) -> EpochRecord:
        losses, self._losses = self._losses, []
        metrics = {
            "loss": sum(losses) / len(losses),
            "learning_rate": self.stepper.rate,
            "steps_per_second": rate,
            "data_wait_share": waiting,
        }
        return EpochRecord(self.step // self.config.iterations_per_epoch - 1, self.step, metrics)

    def _restore(self, state: dict[str, Any]) -> None:
        stored = TrainConfig.model_validate_json(state["config"])
        differing = [
            f"{key} ({old!r}, now {new!r})"
            for key, new in self.config.as_parameters().items()
            if (old := stored.as_parameters().get(key)) != new and key not in MAY_CHANGE
        ]
        if differing:
            raise ConfigError(
                f"the run there was started with another configuration: {', '.join(differing[:3])}",
                where=self.checkpoint.parent,
                fix="Choose another --out, or the configuration it was started with.",
            )
        if state["threads"] != torch.get_num_threads() and self.device.type == "cpu":
            log.warning("the run was started with %d threads; weights may differ in the last bits", state["threads"])
        self.network.load_state_dict(state["network"])
        self.stepper.load(state)
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        self._losses = [float(loss) for loss in state["losses"]]
        self.bounds = Bounds(self.bounds.steps, state["seconds"])
        self.extra = {**self.extra, **state["extra"]}
        self.resumed = True


# What may be changed between two parts of one run, because no weight depends on it, or because that is the point.
MAY_CHANGE = {"checkpoint_every", "tracking", "title", "data", "license", "limits", "version"}
