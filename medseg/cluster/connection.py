"""A Ray cluster, as much of it as medseg needs: the one file that imports Ray.

An actor is a process on some machine of the cluster that holds an object; the driver is the process that the user
started. Whatever an actor's methods yield comes to the driver one after another, and its death comes as `Lost`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from medseg.errors import MissingDependency, UsageError, first_line
from medseg.signals import STOP_SIGNALS

log = logging.getLogger("medseg.cluster")

# CPUs of a worker where nothing is said: inference gains little from more, and another worker gains all of it.
CPUS = 4
# Part of a machine's memory that all its workers may use together.
MEMORY = 0.9
# Seconds that actors get to delete what they have half-written.
SECONDS_TO_END = 5.0
SECONDS_TO_CONNECT = 5.0


@dataclass(frozen=True)
class OnCluster:
    """Where to run besides this process: the cluster's address, and the CPUs of one worker if they are chosen."""

    address: str
    cpus: int | None = None
    use_gpus: bool = True


@dataclass(frozen=True)
class Place:
    """Where one worker may run: a machine, and which of its workers it is, of `count`.

    `gib` is the worker's part of the machine's memory, and `of_cpus` how many CPUs the cluster counts there.
    """

    node: str
    host: str
    index: int
    count: int
    cpus: int
    of_cpus: int
    gpus: int
    gib: float


@dataclass(frozen=True)
class Lost:
    """What is heard of an actor that is gone."""

    reason: str


@dataclass(frozen=True)
class Finished:
    """What is heard when a call has given all it gives."""


def require_ray() -> None:
    """Raise unless Ray is installed."""
    if find_spec("ray") is None:
        raise MissingDependency("Ray is not installed", where="--ray", fix="pip install 'medseg[ray]'")


class Actor:
    """A process of the cluster and the call it is working on, if any."""

    def __init__(self, handle: Any, place: Place) -> None:
        self.handle, self.place = handle, place
        self.stream: Any = None

    def call(self, method: str, *arguments: Any) -> None:
        """Start a call of a generator method; what it yields is heard through `Cluster.hear`."""
        if self.stream is not None:
            raise RuntimeError("the actor is busy")
        self.stream = getattr(self.handle, method).options(num_returns="streaming").remote(*arguments)


class Cluster:
    """A connection to a Ray cluster, and the actors started over it."""

    def __init__(self, ray: Any, *, is_ours: bool, seconds_to_end: float = SECONDS_TO_END) -> None:
        self._ray, self._is_ours, self._seconds_to_end = ray, is_ours, seconds_to_end
        errors = ray.exceptions
        self._losses = (
            *(errors.RayActorError, errors.ActorUnschedulableError, errors.NodeDiedError),
            *(errors.WorkerCrashedError, errors.ObjectLostError),
        )
        self.actors: list[Actor] = []

    def places(self, *, cpus: int | None, use_gpus: bool) -> list[Place]:
        """Return where workers may run now: one a GPU on machines with GPUs that may be used, else one per `cpus` CPUs.

        The first worker of every machine comes before the second of any.
        """
        found: list[Place] = []
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            n_cpus, n_gpus = (int(node["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
            if not n_cpus:
                continue
            gpus = n_gpus if use_gpus else 0
            each = cpus or (max(1, n_cpus // gpus) if gpus else min(CPUS, n_cpus))
            count = min(gpus, n_cpus // each) if gpus else n_cpus // each
            name, host = node["NodeID"], node["NodeManagerHostname"]
            # Ray sets a part aside for data of its own, of which medseg has next to none.
            memory = sum(node["Resources"].get(kind, 0.0) for kind in ("memory", "object_store_memory"))
            gib = MEMORY * memory / 2**30 / max(1, count)
            found += [Place(name, host, index, count, each, n_cpus, int(gpus > 0), gib) for index in range(count)]
        return sorted(found, key=lambda place: place.index)

    def share(self, value: Any) -> Any:
        """Send a value once, for many calls; an actor is given it as it is."""
        return self._ray.put(value)

    def start(self, kind: type, place: Place, *arguments: Any) -> Actor:
        """Start an actor that holds `kind(*arguments, place)`; it is not started again when it dies."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options = {
            "num_cpus": place.cpus,
            "num_gpus": place.gpus,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(place.node, soft=False),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 2,  # one call that works, and one that ends it
        }
        actor = Actor(self._ray.remote(kind).options(**options).remote(*arguments, place), place)
        self.actors.append(actor)
        return actor

    def hear(self, timeout: float) -> Iterator[tuple[Actor, Any]]:
        """Wait for news of the actors' calls and yield each: what it gave, `Finished` or `Lost`."""
        busy = {actor.stream: actor for actor in self.actors if actor.stream is not None}
        if not busy:
            return
        streams = list(busy)
        if not self._ray.wait(streams, num_returns=1, timeout=timeout)[0]:
            return
        # All that there is, so that no actor waits for another that talks without a pause.
        ready, _ = self._ray.wait(streams, num_returns=len(streams), timeout=0)
        for stream in ready:
            actor = busy[stream]
            yield actor, self._next(actor)

    def _next(self, actor: Actor) -> Any:
        try:
            return self._ray.get(next(actor.stream))
        except StopIteration:
            actor.stream = None
            return Finished()
        except self._losses as error:
            self.kill(actor)
            return Lost(first_line(error))

    def kill(self, actor: Actor) -> None:
        """Kill an actor's process, whatever it is doing."""
        actor.stream = None
        if actor in self.actors:
            self.actors.remove(actor)
        self._ray.kill(actor.handle)

    def end(self) -> None:
        """End all actors, after a moment in which they delete what they have half-written."""
        ending = [actor.handle.end.remote() for actor in self.actors]
        if ending:
            self._ray.wait(ending, num_returns=len(ending), timeout=self._seconds_to_end)
        for actor in list(self.actors):
            self.kill(actor)
        if self._is_ours:
            self._ray.shutdown()


@contextmanager
def connected(address: str, *, seconds_to_end: float = SECONDS_TO_END) -> Iterator[Cluster]:
    """Connect to the Ray cluster at an address while inside; ``auto`` is the one that this machine belongs to.

    ``local`` starts one on this machine. A connection that the caller's program has already is used, and left open.
    At the end every actor gets some seconds to end by itself.
    """
    require_ray()
    # Nothing of a hospital's work is reported to anybody; a cluster that runs already was told at its start.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    if address.startswith("ray://"):
        raise UsageError(
            "a Ray client cannot run a batch", where=f"--ray {address}", fix="Run medseg on a machine of the cluster."
        )
    is_ours = not ray.is_initialized()
    if is_ours:
        _check_listening(address)
        local = {"include_dashboard": False} if address == "local" else {}
        handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local)
            # Ray still prints what became of lost workers on standard output, where data goes; there is no option
            # against it. What matters of it is logged.
            ray._private.worker._worker_logs_enabled = False
        except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
            raise UsageError(
                f"no Ray cluster answers there ({first_line(error)})",
                where=f"--ray {address}",
                fix="Start one with 'ray start --head', or name its address.",
            ) from error
        finally:
            _restore(handlers)  # Ray has its own for an end in which nothing would be said
    cluster = Cluster(ray, is_ours=is_ours, seconds_to_end=seconds_to_end)
    try:
        yield cluster
    finally:
        cluster.end()


def _check_listening(address: str) -> None:
    """Refuse an address where nothing listens: Ray itself would try for many minutes, and hear no signal."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"no Ray cluster answers there ({first_line(error)})",
            where=f"--ray {address}",
            fix="Start one with 'ray start --head', or name its address.",
        ) from error


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
