"""One step of training: forward and backward over its batches, and one move of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medseg.training.config import TrainConfig
from medseg.training.cpu_parallel import SideBySide, can_be_parted, one_thread
from medseg.training.device import memory_format
from medseg.training.distributed import Processes
from medseg.training.ema import Ema
from medseg.training.losses import segmentation_loss
from medseg.training.optimizer import build_optimizer
from medseg.training.region_loss import region_loss
from medseg.training.samples.augment import Augmentation, generator_of
from medseg.training.samples.patches import Batch

__all__ = ["Stepper"]


class Stepper:
    """Moves a network's weights, alone or together with other processes that hold the same network.

    Parameters
    ----------
    config : TrainConfig
        What to do.
    network : Module
        On its device.
    augmentation : Augmentation
        Applied to every batch, on the device.
    dtype : torch.dtype
        Of the forward pass; float16 has its gradients scaled (Micikevicius et al. 2018, arXiv:1710.03740).
    ignore, members, processes
        As for `medseg.training.loop.Loop`.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: nn.Module,
        augmentation: Augmentation,
        *,
        dtype: torch.dtype,
        ignore: int | None,
        members: Tensor | None,
        processes: Processes,
    ) -> None:
        self.config = config
        self.network = network
        self.augmentation = augmentation
        self.dtype = dtype
        self.ignore = ignore
        self.device = next(network.parameters()).device
        self.members = None if members is None else members.to(self.device)
        self.processes = processes
        self.ema = Ema(network, config.ema_decay)
        self._format = memory_format(config.network.dimensions, network)
        self._shared = processes.share(network)
        self._optimizer = build_optimizer(config.optimizer, network)
        parted = processes.count == 1 and torch.get_num_threads() > 1 and can_be_parted(network, config.network.name)
        self._parts = SideBySide(network, dtype) if parted else None
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=dtype == torch.float16)

    @property
    def rate(self) -> float:
        """Learning rate of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self, batches: Sequence[Batch], number: int, rate: float) -> float:
        """Take a step on the sum of the gradients of some batches, and return the mean loss.

        Parameters
        ----------
        batches : sequence of Batch
            What this process has of the step.
        number : int
            Of the step, from 0.
        rate : float
            Learning rate.
        """
        with contextlib.nullcontext() if self._parts is None else one_thread():
            return self._step(batches, number, rate)

    def _step(self, batches: Sequence[Batch], number: int, rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for place, batch in enumerate(batches, start=1):
            # Gradients are exchanged once a step, with the last batch.
            waits = contextlib.nullcontext() if place == len(batches) else self.processes.apart(self._shared)
            images, labels = self._augmented(batch)

            def loss_of(scores: Tensor | list[Tensor], labels: Tensor = labels) -> Tensor:
                return self._loss(scores, labels) / len(batches)

            if self._parts is not None and len(images) > 1:
                total += float(self._parts.backward(images, loss_of))
                continue
            with waits:
                with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                    scores = self._shared(images)
                loss = loss_of(scores)
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimizer.clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.ema.update(self.network, number)
        return total

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, the network aside."""
        return {
            "ema": self.ema.state,
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.ema.load(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state.get("scaler", {}))

    def _augmented(self, batch: Batch) -> tuple[Tensor, Tensor]:
        config = self.config
        # Whatever else draws at random, dropout for one, draws by the samples.
        torch.manual_seed(generator_of(config.seed, batch.first, 1).initial_seed())
        images = batch.images.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        images, labels = self.augmentation(images, labels, batch.first)
        if config.network.dimensions == 2:
            images, labels = images[..., 0], labels[..., 0]
        return images.contiguous(memory_format=self._format), labels

    def _loss(self, scores: Tensor | list[Tensor], labels: Tensor) -> Tensor:
        config = self.config
        options: dict[str, Any] = {
            "dice": config.loss.dice,
            "cross_entropy_weight": config.loss.cross_entropy,
            "over_batch": config.loss.batch_dice,
            "ignore": self.ignore,
        }
        if self.members is not None:
            return region_loss(scores, labels, self.members, **options)
        return segmentation_loss(scores, labels, **options)
