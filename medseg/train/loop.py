"""The training loop: steps, checkpoints, and where to go on."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from medseg.errors import ConfigError, InputError, Interrupted
from medseg.train.augment import Augmentation, generator_of
from medseg.train.checkpoint import read_checkpoint, write_checkpoint
from medseg.train.config import TrainConfig
from medseg.train.device import memory_format
from medseg.train.ema import Ema
from medseg.train.losses import segmentation_loss
from medseg.train.patches import Patches
from medseg.train.schedule import Bounds, learning_rate

__all__ = ["EpochRecord", "Loop"]

log = logging.getLogger("medseg.train")

# Signals that ask for a checkpoint and an end: what batch schedulers, terminals and Slurm send.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


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

    Batches and augmentations are functions of seed and step; network, optimiser, average and counts are in the
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
    extra : dict, optional
        Data kept with the checkpoint, for instance the tracker's run id. One found in a checkpoint wins.
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
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.network = network
        self.patches = patches
        self.augmentation = augmentation
        self.dtype = dtype
        self.checkpoint = checkpoint
        self.ignore = ignore
        self.extra = dict(extra or {})
        self.device = next(network.parameters()).device
        self.memory_format = memory_format(config.network.dimensions)
        self.optimiser = _build_optimiser(config, network)
        self.ema = Ema(network, config.ema_decay)
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
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.bounds.progress(self.step, self.elapsed) >= 1

    def run(self, on_epoch: Callable[[EpochRecord], None], *, reserve: float = 0.0) -> None:
        """Train to the end.

        Parameters
        ----------
        on_epoch : callable
            Told of each epoch when it ends.
        reserve : float
            Seconds of the time budget spent on what came before and kept for what follows.

        Raises
        ------
        Interrupted
            When a signal asked to stop; a checkpoint was written first.
        """
        if self.bounds.seconds is not None and not self.resumed:
            self.bounds = Bounds(self.bounds.steps, max(self.bounds.seconds - reserve, 1.0))
        if self.finished:
            return
        self.network.train()
        began = time.monotonic() - self.elapsed
        saved = time.monotonic()
        epoch_began, epoch_step = time.monotonic(), self.step
        waited = 0.0
        with _stop_requests() as asked:
            batches = self.patches.batches(self.step, self.bounds.steps)
            with contextlib.closing(batches):
                while self.bounds.progress(self.step, self.elapsed) < 1:
                    asking = time.monotonic()
                    images, labels = next(batches)
                    waited += time.monotonic() - asking
                    self._losses.append(self._one_step(images, labels))
                    self.step += 1
                    now = time.monotonic()
                    self.elapsed = now - began
                    if self.step % self.config.iterations_per_epoch == 0:
                        rate = (self.step - epoch_step) / max(now - epoch_began, 1e-9)
                        on_epoch(self._record(rate, waited / max(now - epoch_began, 1e-9)))
                        epoch_began, epoch_step, waited = time.monotonic(), self.step, 0.0
                    if asked:
                        self.save()
                        raise Interrupted(asked[0])
                    if now - saved > self.config.checkpoint_every:
                        self.save()
                        saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Write the checkpoint."""
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
                "ema": self.ema.state,
                "optimiser": self.optimiser.state_dict(),
                "extra": self.extra,
            },
        )

    def _one_step(self, images: Tensor, labels: Tensor) -> float:
        config = self.config
        progress = self.bounds.progress(self.step, self.elapsed)
        rate = learning_rate(
            progress,
            peak=config.optimiser.learning_rate,
            warm_up=config.optimiser.warm_up,
            shape=config.optimiser.schedule,
        )
        # A step at rate 0, which the very first would be, moves nothing.
        for group in self.optimiser.param_groups:
            group["lr"] = max(rate, 1e-3 * config.optimiser.learning_rate)
        # Whatever else draws at random, dropout for one, draws by the step.
        torch.manual_seed(generator_of(config.seed, self.step, 1).initial_seed())
        images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        images, labels = self.augmentation(images, labels, self.step)
        if config.network.dimensions == 2:
            images, labels = images[..., 0], labels[..., 0]
        images = images.contiguous(memory_format=self.memory_format)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            scores = self.network(images)
        loss = segmentation_loss(
            scores,
            labels,
            dice=config.loss.dice,
            cross_entropy_weight=config.loss.cross_entropy,
            over_batch=config.loss.batch_dice,
            ignore=self.ignore,
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), config.optimiser.clip)
        self.optimiser.step()
        self.ema.update(self.network, self.step)
        value = float(loss.detach())
        if value != value:
            raise InputError(
                f"the loss is not a number at step {self.step}",
                where=self.checkpoint.parent,
                fix="Lower optimiser.learning_rate or set precision to fp32, and start in another --out.",
            )
        return value

    def _record(self, rate: float, waiting: float) -> EpochRecord:
        losses, self._losses = self._losses, []
        lr = self.optimiser.param_groups[0]["lr"]
        metrics = {
            "loss": sum(losses) / len(losses),
            "learning_rate": float(lr),
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
        self.ema.load(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        self._losses = [float(loss) for loss in state["losses"]]
        self.bounds = Bounds(self.bounds.steps, state["seconds"])
        self.extra = {**self.extra, **state["extra"]}
        self.resumed = True


# What may be changed between two parts of one run, because no weight depends on it, or because that is the point.
MAY_CHANGE = {"checkpoint_every", "tracking", "title", "data", "licence", "limits", "version"}


def _build_optimiser(config: TrainConfig, network: nn.Module) -> torch.optim.Optimizer:
    chosen = config.optimiser
    if chosen.name == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            chosen.learning_rate,
            momentum=chosen.momentum,
            nesterov=True,
            weight_decay=chosen.weight_decay,
        )
    return torch.optim.AdamW(network.parameters(), chosen.learning_rate, weight_decay=chosen.weight_decay, fused=True)


@contextlib.contextmanager
def _stop_requests() -> Iterator[list[str]]:
    """Collect stop signals while inside, so that a step is never cut in two."""
    asked: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in STOP_SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
