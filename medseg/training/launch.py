"""Starts the processes that train one network together on this machine, by PyTorch's own launcher."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from medseg.errors import Interrupted

__all__ = ["launch"]


def launch(count: int, arguments: Sequence[str]) -> int:
    """Run a medseg command line in several processes at once, as torchrun does, and return its exit code.

    torchrun itself ends with 1 when a signal stops it, whatever its processes say; here the code is theirs, 75 for a
    run that can be gone on with.

    Parameters
    ----------
    count : int
        How many processes.
    arguments : sequence of str
        What each is given after ``medseg``.

    Raises
    ------
    Interrupted
        When a signal asked to stop; the processes were told, and have written their checkpoint.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "medseg", *arguments)
    except SignalException as stop:
        raise Interrupted(stop.sigval.name) from stop
    except ChildFailedError as failed:
        return failed.get_first_failure()[1].exitcode
    return 0
