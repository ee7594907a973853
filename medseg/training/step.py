"""One training step: forward and backward pass over its batches, and one update of the weights."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medseg.data.dataset import Dataset
from medseg.models.onednn_convolution import InOneDnn
from medseg.training.cpu_parallel import SideBySide, one_thread
from medseg.training.device import memory_format
from medseg.training.ema import Ema
from medseg.training.interactive.corrections import Corrections
from medseg.training.losses import Counted, region_loss, segmentation_loss
from medseg.training.optimizer import build_optimizer
from medseg.training.samples.augment import Augmentation, generator_of
from medseg.training.samples.patches import Batch
from medseg.training.samples.prepared import IGNORED
from medseg.training.step_method import LIMIT, StepMethod, measure, step_methods
from medseg.training.structures.terms import StructureLoss
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")


class Stepper:
    """Updates a network's weights, alone or together with other processes that hold the same network.

    In float16 gradients are scaled (Micikevicius et al. 2018, arXiv:1710.03740).
    """

    def __init__(self, run: TrainingRun, network: nn.Module, augmentation: Augmentation) -> None:
        self.config = run.config
        self.processes = run.processes
        self.network = network
        self.augmentation = augmentation
        self.device = next(network.parameters()).device
        self.ignore = IGNORED if run.dataset.ignore_label is not None else None
        chosen = self.config.interactive
        self.corrections = None if chosen is None else Corrections(chosen, run.dataset, self.config.seed)
        regions = None if self.corrections is not None else _regions_of(run.dataset)
        self.regions = None if regions is None else regions.to(self.device)
        self.structures = StructureLoss.from_config(self.config, ignore=self.ignore, regions=self.regions)
        self.ema = Ema(network, self.config.ema_decay)
        self._format = memory_format(self.config.network.dimensions, network)
        self._shared = self.processes.share(network)
        self._optimizer = build_optimizer(self.config.optimizer, network)
        self._methods = step_methods(
            network,
            self.config.network.name,
            self.config.sampling.batch,
            self.config.precision,
            alone=self.processes.count == 1,
        )
        self._use(self._methods[0])
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self.method.dtype == torch.float16)

    @property
    def rate(self) -> float:
        """Learning rate of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def choose_method(self, channels: int) -> None:
        """Try each way of computing a step on images of so many channels, and take the fastest from now on."""
        if len(self._methods) == 1 or self.processes.count > 1:
            log.info("Each step computes %s.", self.method)
            return
        batch, patch = self.config.sampling.batch, self.config.input.patch[: self.config.network.dimensions]
        draw = torch.Generator().manual_seed(self.config.seed)
        images = torch.randn(batch, channels, *patch, generator=draw).contiguous(memory_format=self._format)
        labels = torch.zeros(batch, *patch, dtype=torch.long)
        seconds = measure(self.network, self._methods, images, lambda scores: self._loss(scores, labels), limit=LIMIT)
        self._use(next(iter(seconds)))
        first, *others = (f"{method} ({took:.2g} s)" for method, took in seconds.items())
        compared = f", faster here than {', and than '.join(others)}" if others else ""
        log.info("Each step computes %s%s.", first, compared)

    def _use(self, method: StepMethod) -> None:
        self.method = method
        self._parts = None
        if method.parts > 1:
            self._parts = SideBySide(self.network, method.dtype, method.parts, method.threads)

    def step(self, batches: Sequence[Batch], number: int, rate: float) -> float:
        """Take step `number`, from 0, on the sum of the gradients of this process's batches; return the mean loss."""
        with contextlib.nullcontext() if self._parts is None else one_thread():
            return self._step(batches, number, rate)

    def _step(self, batches: Sequence[Batch], number: int, rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        total, dtype = 0.0, self.method.dtype
        for place, batch in enumerate(batches, start=1):
            # Gradients are exchanged once a step, with the last batch.
            exchange = contextlib.nullcontext() if place == len(batches) else self.processes.apart(self._shared)
            images, labels = self._augmented(batch)
            annotated = None
            if batch.annotated is not None and self.corrections is None:
                annotated = batch.annotated.to(self.device)

            def loss_of(
                scores: Tensor | list[Tensor], labels: Tensor = labels, annotated: Tensor | None = annotated
            ) -> Tensor:
                return self._loss(scores, labels, annotated) / len(batches)

            if self._parts is not None and len(images) > 1:
                total += float(self._parts.backward(images, loss_of))
                continue
            with exchange:
                own = InOneDnn() if self.device.type == "cpu" else contextlib.nullcontext()
                with own, torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
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
            "method": self.method.to_state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a checkpoint's state."""
        self.ema.load(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state.get("scaler", {}))
        if "method" in state:
            self._resume_with(StepMethod.from_state(state["method"]))

    def _resume_with(self, method: StepMethod) -> None:
        if method.dtype not in {one.dtype for one in self._methods}:
            log.warning(
                "The run was started in %s, which this device does not multiply in hardware; it resumes in %s.",
                method.dtype_name,
                self.method.dtype_name,
            )
        elif self.device.type == "cpu" and self.processes.count == 1:
            self._use(method)

    def _augmented(self, batch: Batch) -> tuple[Tensor, Tensor]:
        # Whatever else draws at random, dropout for one, draws by the samples.
        torch.manual_seed(generator_of(self.config.seed, batch.first, 1).initial_seed())
        images = batch.images.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        images, labels = self.augmentation(images, labels, batch.first)
        if self.corrections is not None:
            images, labels = self.corrections(self._scores, images, labels, batch.first, batch.annotated)
        if self.config.network.dimensions == 2:
            images, labels = images[..., 0], labels[..., 0]
        return images.contiguous(memory_format=self._format), labels

    def averaged_scores(self, images: Tensor) -> Tensor:
        """What the average of the weights gives for patches (N, C, X, Y, Z), without gradients."""
        return self._scores(images.to(self.device), self.ema.state)

    @torch.no_grad()
    def _scores(self, images: Tensor, state: Mapping[str, Tensor] | None = None) -> Tensor:
        """What the network gives for patches (N, C, X, Y, Z) as it is, or with other weights, without gradients."""
        is_flat, dtype = self.config.network.dimensions == 2, self.method.dtype
        own = InOneDnn() if self.device.type == "cpu" else contextlib.nullcontext()
        shown = (images[..., 0] if is_flat else images).contiguous(memory_format=self._format)
        self.network.eval()
        try:
            with own, torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
                scores: Tensor = functional_call(self.network, dict(state or {}), (shown,))
        finally:
            self.network.train()
        return scores[..., None] if is_flat else scores

    def _loss(self, scores: Tensor | list[Tensor], labels: Tensor, annotated: Tensor | None = None) -> Tensor:
        loss = self.config.loss
        structures = self.structures(scores, labels, annotated)
        if self.regions is not None:
            counted = Counted(self.ignore, annotated)
            return region_loss(scores, labels, self.regions, loss, counted=counted) + structures
        return segmentation_loss(scores, labels, loss, ignore=self.ignore, annotated=annotated) + structures


def _regions_of(data: Dataset) -> Tensor | None:
    """Which parts make which region, shape (parts + 1, regions); None where classes exclude each other."""
    if not data.regions:
        return None
    rows = [[float(part in parts) for parts in data.regions.values()] for part in (0, *data.parts)]
    return torch.tensor(rows)
