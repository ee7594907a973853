"""Several processes that train one network together, started here or by torchrun; one process is the usual case."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from medseg.errors import Interrupted, MedsegError
from medseg.io.files.temporary import temporary_folder

# The first process audits, plans and prepares while the others wait.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class Processes:
    """Those that train together, seen from one of them: its number, their number, and its number on its machine.

    ``local`` picks the GPU.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this one writes what the run leaves."""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """The device of this process: of several GPUs each takes its own."""
        if self.count > 1 and chosen == torch.device("cuda"):
            return torch.device("cuda", self.local)
        return chosen

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """Inside, the first process is alone; the others come after it, and find what it has left."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.count > 1:
            dist.barrier()

    def mean(self, *values: float) -> tuple[float, ...]:
        """Mean of each value over the processes, the same in all of them."""
        if self.count == 1:
            return values
        gathered = torch.tensor(values, dtype=torch.float64, device=self._device())
        dist.all_reduce(gathered)
        return tuple((gathered / self.count).tolist())

    def of_first(self, value: float) -> float:
        """The first process's value."""
        if self.count == 1:
            return value
        sent = torch.tensor([value], dtype=torch.float64, device=self._device())
        dist.broadcast(sent, 0)
        return float(sent)

    def share(self, network: nn.Module) -> nn.Module:
        """The network under a wrapper that averages gradients over the processes; itself where there is one only."""
        if self.count == 1:
            return network
        device = next(network.parameters()).device
        # Kernels of one voxel have several strides that mean the same; PyTorch warns of it.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return nn.parallel.DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def apart(self, network: nn.Module) -> AbstractContextManager[Any]:
        """Inside, gradients are kept and not exchanged."""
        if isinstance(network, nn.parallel.DistributedDataParallel):
            return network.no_sync()
        return contextlib.nullcontext()

    def _device(self) -> torch.device:
        return torch.device("cuda", self.local) if dist.get_backend() == "nccl" else torch.device("cpu")


ALONE = Processes()


@contextlib.contextmanager
def joined(*, gpu: bool) -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did: with `gpu` by NCCL, each on its own GPU, else by gloo."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or dist.is_initialized():
        yield ALONE if count == 1 else _this(count)
        return
    here = _this(count)
    if gpu:
        torch.cuda.set_device(here.local)
    dist.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    try:
        yield here
    finally:
        dist.destroy_process_group()


def world() -> int:
    """How many processes train together now."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def summed(value: Tensor) -> Tensor:
    """Sum of a tensor over the processes, through which gradients flow to all of them."""
    return value if world() == 1 else _Sum.apply(value)  # type: ignore[no-untyped-call]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _this(count: int) -> Processes:
    return Processes(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")))


def launch(count: int, arguments: Sequence[str]) -> None:
    """Run a medseg command line in `count` processes at once, as torchrun does, without what they print on stdout.

    torchrun itself ends with 1 when a signal stops it, whatever its processes say; here a signal, after which they have
    written their checkpoint, raises `Interrupted`, and their failure an error with their exit code.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with temporary_folder() as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=str(folder), redirects=Std.OUT),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "medseg", *arguments)
        except SignalException as stop:
            raise Interrupted(stop.sigval.name) from stop
        except ChildFailedError as failed:
            code = failed.get_first_failure()[1].exitcode
            error = MedsegError(
                f"a training process ended with exit code {code}", fix="Read the message of that process above."
            )
            error.exit_code = code
            raise error from None
