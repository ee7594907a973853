"""Does the same with each of many inputs in processes of their own, so that a crash or a hang costs one of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from medseg.errors import MedsegError, ResourceLimit, UnforeseenError
from medseg.isolation.boundary import attempt
from medseg.isolation.child import costs_one_case
from medseg.isolation.process import LOOK_EVERY, ChildProcess, Guard, Why

Item = TypeVar("Item")
Result = TypeVar("Result")
MODULE = "medseg.isolation.worker"


def each_isolated(
    function: Callable[[Item], Result], items: Iterable[Item], guard: Guard | None = None, *, jobs: int = 1
) -> Generator[tuple[Item, Result | MedsegError], None, None]:
    """Yield each item with what a function returns for it, or the error that it, a crash or a limit ended in.

    Without limits, a process whose end costs one case does the work itself.

    Parameters
    ----------
    function : callable
        One that can be pickled: of a module, or a `functools.partial` of one. Whatever it raises is an outcome.
    items : iterable
        What can be pickled, as must what the function returns.
    guard : Guard, optional
        What one item may use of memory and time.
    jobs : int
        Processes at the same time. With one, the outcomes come in the order of the items.

    Raises
    ------
    ResourceLimit
        When no process can be started, whatever the item.
    """
    guard = guard or Guard()
    if costs_one_case() and guard == Guard():
        yield from ((item, attempt(function, item)) for item in items)
        return
    todo = deque(items)
    limit = guard.bytes() / max(1, min(jobs, len(todo)))
    count = min(jobs, len(todo))
    # Several processes share the cores already.
    hands = [_Hand[Item, Result](function, guard, limit, one_thread=count > 1) for _ in range(count)]
    with ExitStack() as stack:
        for hand in hands:
            stack.push(hand.close)
        while todo or any(hand.items for hand in hands):
            for hand in hands:
                if not hand.items and todo:
                    hand.take(todo.popleft())
            busy = [hand for hand in hands if hand.items]
            wait([hand.child.connection for hand in busy if hand.child is not None], LOOK_EVERY)
            for hand in busy:
                for outcome in hand.look():
                    yield hand.items.pop(), outcome


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return f"{function.__module__}.{function.__qualname__}"


class _Hand(Generic[Item, Result]):
    """A process and the item it works on; the process is started again after an item that brought it down."""

    def __init__(self, function: Callable[[Item], Result], guard: Guard, limit: float, *, one_thread: bool) -> None:
        self.function, self.guard, self.limit, self.one_thread = function, guard, limit, one_thread
        self.child: ChildProcess | None = None
        self.items: list[Item] = []  # one, or none
        self.since = 0.0
        self.is_ready = self.is_second_start = False

    def take(self, item: Item) -> None:
        """Give the process an item."""
        self.items.append(item)
        self.is_second_start = False
        self._send()

    def _send(self) -> None:
        if self.child is None:
            self.child = ChildProcess(MODULE, one_thread=self.one_thread).__enter__()
            self.child.work = _name(self.function)
            self.child.send(self.function)
            self.is_ready = False
        self.child.send(self.items[0])
        self.since = time.monotonic()

    def look(self) -> list[Result | MedsegError]:
        """Return the outcome of the item, or nothing where there is none yet."""
        assert self.child is not None
        why: Why | None
        try:
            if self.child.connection.poll():
                message = self.child.connection.recv()
                if self.is_ready:
                    return [message]
                self.is_ready, self.since = True, time.monotonic()  # no item's time is spent on the start
                return []
            deadline = None if self.guard.seconds is None or not self.is_ready else self.since + self.guard.seconds
            why = self.child.over_limit(self.limit, deadline)
            kind: type[MedsegError] = ResourceLimit
        except (EOFError, OSError):
            why, kind = self.child.why_it_died(), UnforeseenError
        if why is None:
            return []
        ended_itself = (self.child.process.poll() or 0) > 0
        self.close(None)
        if not self.is_ready and not self.is_second_start:  # nobody's fault: the system may have been short of memory
            self.is_second_start = True
            self._send()
            return []
        if not self.is_ready and ended_itself:  # it would be so for every item
            raise ResourceLimit(
                "a process to read in cannot be started",
                fix="`medseg doctor` says whether the installation is complete.",
            )
        return [kind(why[0], fix=why[1])]

    def close(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the process, at once where the work is abandoned."""
        if self.child is not None:
            child, self.child = self.child, None
            # Whoever leaves the loop early, by a signal or by asking for no more, must not wait for an item.
            child.__exit__(kind or (GeneratorExit if self.items else None))
