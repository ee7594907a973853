"""The process that speaks with a Ray cluster: the one file that imports Ray; started by `connection`, never manually.

It is a process of its own because Ray ends the one that it is in when the node or the head that it talks to dies, and
hears no signal while it tries to reach an address.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from medseg.cluster.address import address_meant
from medseg.cluster.messages import Failed, Finished, Lost, Sent, WrongToken
from medseg.cluster.places import Machine, Place
from medseg.errors import first_line
from medseg.isolation.child import serve

SECONDS_TO_REACH = 5.0


class Driver:
    """What the process does for its parent: each public method is a request, and names actors by numbers."""

    def __init__(self, address: str) -> None:
        _check_listening(address)
        # Nothing of a hospital's work is reported to anybody; a cluster that runs already was told at its start.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        local = {"include_dashboard": False} if address == "local" else {}
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent decides; it reaches a whole group of processes
        errors = ray.exceptions
        self._losses = (
            *(errors.RayActorError, errors.ActorUnschedulableError, errors.NodeDiedError),
            *(errors.WorkerCrashedError, errors.ObjectLostError),
        )
        self._ray = ray
        self._numbers = count()
        self._values: dict[int, Any] = {}
        self._actors: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}

    def machines(self) -> list[Machine]:
        """Return the machines that there are now."""
        found = []
        for node in self._ray.nodes():
            has = node["Resources"]
            if node["Alive"]:
                # Ray sets a part aside for data of its own, of which medseg has next to none.
                memory = sum(has.get(kind, 0.0) for kind in ("memory", "object_store_memory"))
                cpus, gpus = (int(has.get(kind, 0)) for kind in ("CPU", "GPU"))
                found.append(Machine(node["NodeID"], node["NodeManagerHostname"], cpus, gpus, memory))
        return found

    def share(self, value: object) -> Sent:
        """Keep a value where every machine finds it."""
        sent = Sent(next(self._numbers))
        self._values[sent.number] = self._ray.put(value)
        return sent

    def start(self, kind: type, place: Place, arguments: tuple[object, ...]) -> int:
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
        given = [self._values[one.number] if isinstance(one, Sent) else one for one in arguments]
        number = next(self._numbers)
        self._actors[number] = self._ray.remote(kind).options(**options).remote(*given, place)
        return number

    def call(self, number: int, method: str, arguments: tuple[object, ...]) -> None:
        """Start a call of an actor's generator method."""
        handle = getattr(self._actors[number], method)
        self._streams[number] = handle.options(num_returns="streaming").remote(*arguments)

    def hear(self, timeout: float) -> list[tuple[int, Any]]:
        """Wait for news of the actors' calls: what each gave, `Finished` or `Lost`."""
        busy = {stream: number for number, stream in self._streams.items()}
        streams = list(busy)
        if not streams or not self._ray.wait(streams, num_returns=1, timeout=timeout)[0]:
            return []
        # All that there is, so that no actor waits for another that talks without a pause.
        ready, _ = self._ray.wait(streams, num_returns=len(streams), timeout=0)
        return [(busy[stream], self._next(busy[stream])) for stream in ready]

    def _next(self, number: int) -> object:
        try:
            return self._ray.get(next(self._streams[number]))
        except StopIteration:
            del self._streams[number]
            return Finished()
        except self._losses as error:
            self.kill(number)
            return Lost(first_line(error))

    def kill(self, number: int) -> None:
        """Kill an actor's process, whatever it is doing."""
        self._streams.pop(number, None)
        if (actor := self._actors.pop(number, None)) is not None:
            self._ray.kill(actor)

    def end(self, seconds: float) -> None:
        """End all actors, after a moment in which they delete what they have half-written."""
        ending = [actor.end.remote() for actor in self._actors.values()]
        if ending:
            self._ray.wait(ending, num_returns=len(ending), timeout=seconds)
        for number in list(self._actors):
            self.kill(number)

    def close(self) -> None:
        """End the connection, and the cluster where it was started for it."""
        self._ray.shutdown()


def _check_listening(address: str) -> None:
    """Refuse an address where nothing listens at once; Ray itself would try for a while."""
    host, colon, port = address_meant(address).rpartition(":")
    if colon and host and port.isascii() and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_REACH).close()


def _is_of_token(error: BaseException | None) -> bool:
    """Whether Ray's error, or one that it was raised from, is about the cluster's token: its words alone say so."""
    return error is not None and ("uthentication token" in str(error) or _is_of_token(error.__cause__))


def run(connection: Connection[Any, Any]) -> None:
    """Connect to the address sent over the connection, and answer requests until the parent closes it."""
    driver: Driver | None = None
    method, arguments = "__init__", connection.recv()
    while True:
        try:
            if driver is None:
                driver, answer = Driver(*arguments), None
            else:
                answer = getattr(driver, method)(*arguments)
        except Exception as error:
            logging.getLogger("medseg.cluster").debug("%s", method, exc_info=True)
            answer = WrongToken() if _is_of_token(error) else Failed(first_line(error).partition(". ")[0].rstrip("."))
        connection.send(answer)
        method, arguments = connection.recv()


if __name__ == "__main__":
    serve(run)
