"""A Ray cluster, as much of it as medseg needs.

An actor is a process on some machine of the cluster that holds an object. Whatever an actor's methods yield comes to
this process one after another, and its death comes as `Lost`. Ray itself is in a process beside this one, the driver.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from medseg.cluster.address import advice, check_address
from medseg.cluster.messages import Failed, Finished, Lost, Sent, WrongToken
from medseg.cluster.places import Place, places_on
from medseg.errors import Interrupted, MissingDependency, ResourceLimit, UsageError
from medseg.isolation.process import LOOK_EVERY, ChildProcess

log = logging.getLogger("medseg.cluster")

MODULE = "medseg.cluster.driver"
# Seconds that actors get to delete what they have half-written.
SECONDS_TO_END = 5.0
# Seconds until a cluster must have answered, at first and later; a busy machine may take long to start one.
SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 60.0, 30.0


@dataclass(frozen=True)
class OnCluster:
    """Where to run besides this process: the cluster's address, and the CPUs of one worker if they are chosen."""

    address: str
    cpus: int | None = None
    use_gpus: bool = True


def require_ray() -> None:
    """Raise unless Ray is installed."""
    if find_spec("ray") is None:
        raise MissingDependency("Ray is not installed", where="--ray", fix="pip install 'medseg[ray]'")


class Actor:
    """A process of the cluster and the call it is working on, if any."""

    def __init__(self, cluster: Cluster, number: int, place: Place) -> None:
        self._cluster, self.number, self.place = cluster, number, place
        self.is_busy = False

    def call(self, method: str, *arguments: object) -> None:
        """Start a call of a generator method; what it yields is heard through `Cluster.hear`."""
        if self.is_busy:
            raise RuntimeError("the actor is busy")
        self.is_busy = True
        self._cluster.ask("call", self.number, method, arguments)


class Cluster:
    """A connection to a Ray cluster, and the actors started over it.

    Every method raises `ResourceLimit` where the cluster is lost, and `Interrupted` where it does not answer while one
    of `stops` asks for an end.
    """

    def __init__(self, process: ChildProcess, where: OnCluster) -> None:
        self._process, self.where = process, where
        self.actors: list[Actor] = []
        self.stops: list[str] = []
        self.is_lost = True  # until it has answered

    def places(self) -> list[Place]:
        """Return where workers may run now."""
        return places_on(self.ask("machines"), cpus=self.where.cpus, use_gpus=self.where.use_gpus)

    def share(self, value: object) -> Sent:
        """Send a value once, for many actors; each is given it as it is."""
        sent: Sent = self.ask("share", value)
        return sent

    def start(self, kind: type, place: Place, *arguments: object) -> Actor:
        """Start an actor that holds `kind(*arguments, place)`; it is not started again when it dies."""
        actor = Actor(self, self.ask("start", kind, place, arguments), place)
        self.actors.append(actor)
        return actor

    def hear(self, timeout: float) -> Iterator[tuple[Actor, Any]]:
        """Wait for news of the actors' calls and yield each: what it gave, `Finished` or `Lost`."""
        by_number = {actor.number: actor for actor in self.actors}
        for number, event in self.ask("hear", timeout):
            actor = by_number[number]
            if isinstance(event, Lost):
                self.actors.remove(actor)
            actor.is_busy = actor.is_busy and not isinstance(event, Lost | Finished)
            yield actor, event

    def kill(self, actor: Actor) -> None:
        """Kill an actor's process, whatever it is doing."""
        self.actors.remove(actor)
        self.ask("kill", actor.number)

    def end(self, seconds: float = SECONDS_TO_END) -> None:
        """End all actors, after a moment in which they delete what they have half-written."""
        self.actors.clear()
        self._ask_at_last("end", seconds, within=2 * seconds + SECONDS_TO_END)

    def close(self) -> None:
        """End the driver, and the cluster where it was started for this process."""
        self._ask_at_last("close", within=3 * SECONDS_TO_END)
        self._process.process.kill()

    def _ask_at_last(self, method: str, *arguments: object, within: float) -> None:
        """Ask for something whatever was asked to stop, which is of no more interest where the cluster is lost."""
        self.stops = []
        with suppress(ResourceLimit):
            self.ask(method, *arguments, within=within)

    def ask(self, method: str, *arguments: object, within: float = SECONDS_TO_ANSWER) -> Any:
        """Let the driver do something, and return what it answers."""
        try:
            if self.is_lost:
                raise _NoAnswer("it was lost before")
            self._process.send((method, arguments))
            return _answer(self._process, within, self.stops)
        except (_NoAnswer, Interrupted) as error:
            self.is_lost = True
            if isinstance(error, Interrupted):
                raise
            raise ResourceLimit(
                f"the connection to the Ray cluster was lost ({error})",
                where=f"--ray {self.where.address}",
                fix="See with `ray status` which machines are left; the same command resumes.",
            ) from error


class _NoAnswer(Exception):
    """The driver is gone, does not answer, or Ray raised an error in it."""


def _answer(process: ChildProcess, seconds: float, stops: Sequence[str] = ()) -> Any:
    """Wait for the driver's answer, and with a request to stop not much longer than an answer usually takes."""
    until = time.monotonic() + seconds
    try:
        while not process.connection.poll(LOOK_EVERY):
            if stops:
                until = min(until, time.monotonic() + SECONDS_TO_END)
            if time.monotonic() > until:
                if stops:
                    raise Interrupted(stops[0])
                raise _NoAnswer(f"nothing was heard for {seconds:g} s")
        answer = process.connection.recv()
    except (EOFError, OSError):
        log.debug("the process that spoke with the cluster ended with %d", process.process.wait())
        raise _NoAnswer("its node here, or its head, is gone") from None
    if isinstance(answer, Failed):
        raise _NoAnswer(answer.reason)
    return answer


@contextmanager
def connected(where: OnCluster) -> Iterator[Cluster]:
    """Connect to the Ray cluster at an address while inside; ``auto`` is the one that this machine belongs to.

    ``local`` starts one on this machine. Where the caller's program is connected to a cluster, it is that one.

    Raises
    ------
    UsageError
        When no cluster answers within a minute, or refuses.
    """
    require_ray()
    own = _callers_own()
    if not own:
        check_address(where.address)
    with ChildProcess(MODULE) as process:
        cluster = Cluster(process, where)
        try:
            process.send((own or where.address,))
            try:
                answer = _answer(process, SECONDS_TO_CONNECT)
            except _NoAnswer as error:
                what = f"no Ray cluster answers there ({error})"
                raise UsageError(what, where=f"--ray {where.address}", fix=advice(where.address)) from error
            if isinstance(answer, WrongToken):
                what = "the Ray cluster there has another token than this process"
                fix = "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the cluster's secret."
                raise UsageError(what, where=f"--ray {where.address}", fix=fix)
            cluster.is_lost = False
            yield cluster
        finally:
            cluster.close()


def _callers_own() -> str:
    """The address of the cluster that the caller's program is connected to; empty where it is not."""
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().gcs_address) if ray is not None and ray.is_initialized() else ""
