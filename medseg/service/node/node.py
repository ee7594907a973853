"""The node as a whole: threads receive, decide, deliver and tidy up, and the main thread does the jobs."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pynetdicom import evt

from medseg.errors import ConfigError, MedsegError, first_line
from medseg.log_file import log_file
from medseg.service.archive import Archive
from medseg.service.ending import end, open_associations
from medseg.service.node import jobs
from medseg.service.node.commitment import Commitments
from medseg.service.node.config import NodeConfig
from medseg.service.node.deliver import clear_outbox, deliver, refuse_unknown
from medseg.service.node.destinations import archives
from medseg.service.node.incoming import Incoming
from medseg.service.node.keeping import delete_expired
from medseg.service.node.load import load_node
from medseg.service.node.notices import tell, tell_overdue
from medseg.service.node.page import QueuePage, serving_page
from medseg.service.node.receive import Receiver, listening, server_tls
from medseg.service.node.segmenting import Segmenter, rule_pipeline
from medseg.service.node.store import NodeStore, holding
from medseg.signals import stoppable

log = logging.getLogger("medseg.serve")
LOOK_EVERY = 0.5
TIDY_EVERY = 60.0
WAIT_FOR_SPACE = 10.0
JOBS_AT_ONCE = 8
END_SECONDS = 3.0  # in which parts may finish what they do


def check_node(config: NodeConfig, path: Path) -> dict[str, Archive]:
    """Check what needs models and certificates; return the destinations.

    Raises
    ------
    MedsegError
        When a rule's model cannot be run here, or an address or certificate cannot be used.
    """
    server_tls(config.tls)
    found = archives(config)
    for number, rule in enumerate(config.rules, 1):
        where = f"{path}: rule {number}"
        try:
            rule_pipeline(rule.model, rule.formats, where)
        except MedsegError as error:
            if error.where == where:
                raise
            raise ConfigError(error.what, where=f"{where}, model {rule.model}", fix=error.fix) from error
    if config.keep_days is not None and config.commitment and not any(a.protocol == "dimse" for a in found.values()):
        raise ConfigError(
            "keep_days deletes what an archive has committed to keep, and no destination can be asked for that",
            where=path,
            fix="Add a dicom:// destination, or set commitment: false.",
        )
    return found


def serve(config: Path, *, settings: Sequence[str] = (), announce: Callable[[str], object] | None = None) -> None:
    """Run a node until a signal, which raises `Interrupted`; the same call resumes everything.

    Parameters
    ----------
    config : Path
        YAML; see docs/how-to/node.md.
    settings : sequence of str
        Single values of it, ``a.b=c`` each.
    announce : callable, optional
        Takes one line once everything listens.

    Raises
    ------
    ConfigError
        When the configuration cannot be used.
    UsageError
        When an address cannot be listened at, or another node runs in the folder.
    """
    loaded = load_node(config, settings)
    destinations = check_node(loaded, config)
    with stoppable(), holding(loaded.folder) as held, log_file(loaded.folder), NodeStore(loaded.folder) as store:
        Node(loaded, store, destinations, held).run(announce or (lambda _: None))


@dataclass
class Node:
    """A node that holds its folder."""

    config: NodeConfig
    store: NodeStore
    archives: dict[str, Archive]
    is_held: Callable[[], bool] = lambda: True
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _has_stuck_jobs: bool = False

    def run(self, announce: Callable[[str], object]) -> None:
        """Do everything until a signal."""
        config = self.config
        if waiting := jobs.recover(self.store):
            log.info("%d jobs of the last run are done again", waiting)
        segmenter = Segmenter(config, self.store)
        commitments = Commitments(config, self.store, self.archives)
        with ExitStack() as stack:
            receiver = Receiver(stack.enter_context(Incoming(self.store, config.incoming)), config.callers)
            page = QueuePage(self.store, config, receiver.statuses, self.is_alive)
            refuse_unknown(self.store, self.archives)
            address = stack.enter_context(serving_page(page, config.page_address))
            stack.callback(self._end)
            more = [
                (evt.EVT_N_EVENT_REPORT, commitments.report),
                (evt.EVT_N_ACTION, commitments.asked_by_sender),
            ]
            reporters = [archive.ae_title for archive in commitments.asked.values()]
            self._start("whole", self._decide, receiver)
            for name in self.archives:
                self._start(f"deliver to {name}", self._deliver, name, commitments)
            self._start("tidy", self._tidy, commitments)
            stack.enter_context(listening(config, receiver, more, reporters))
            shown = "" if address is None else f"; queue at {address}"
            announce(f"{config.aet} listens at {config.host}:{config.port}{shown}")
            while self.is_alive():
                self._do_jobs(segmenter)
        raise RuntimeError("a part of the node has ended; see its log")

    def _do_jobs(self, segmenter: Segmenter) -> None:
        """Do the next jobs; where a full disk records not even that they wait, they are given back later."""
        try:
            if self._has_stuck_jobs:
                jobs.recover(self.store)
                self._has_stuck_jobs = False
            taken = jobs.take(self.store, time.time(), JOBS_AT_ONCE)
            if taken:
                segmenter.do(taken)
            if not taken or segmenter.waiting:
                self._stop.wait(LOOK_EVERY if not taken else WAIT_FOR_SPACE)
        except (OSError, sqlite3.Error) as error:
            log.error("Jobs cannot be done (%s); trying again.", first_line(error))
            self._has_stuck_jobs = True
            self._stop.wait(WAIT_FOR_SPACE)

    def is_alive(self) -> bool:
        """Whether every part works, and the folder is still this node's."""
        return self.is_held() and all(thread.is_alive() for thread in self._threads)

    def _start(self, name: str, part: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=part, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _end(self) -> None:
        self._stop.set()
        self._join(END_SECONDS)
        end(open_associations())  # of deliveries whose archives do not answer
        self._join(1)

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _decide(self, receiver: Receiver) -> None:
        while not self._stop.wait(LOOK_EVERY):
            self._guarded(lambda: jobs.make_jobs(self.store, self.config, receiver.is_arriving, time.time()))

    def _deliver(self, name: str, commitments: Commitments) -> None:
        while not self._stop.wait(LOOK_EVERY):
            self._guarded(lambda: deliver(self.store, name, self.archives[name], time.time()))
            if name in commitments.asked:
                self._guarded(lambda: commitments.ask_for_results(name, time.time()))

    def _tidy(self, commitments: Commitments) -> None:
        last = 0.0
        while not self._stop.wait(LOOK_EVERY):
            self._guarded(lambda: refuse_unknown(self.store, self.archives))
            self._guarded(lambda: tell(self.store, self.config, time.time()))
            if time.monotonic() - last >= TIDY_EVERY:
                last = time.monotonic()
                self._guarded(lambda: delete_expired(self.store, self.config, commitments, time.time()))
                self._guarded(lambda: clear_outbox(self.store, commitments.asked))
                self._guarded(lambda: tell_overdue(self.store, self.config))
                self._guarded(lambda: commitments.forget(time.time()))

    def _guarded(self, work: Callable[[], object]) -> None:
        """Go on after an error, for instance of a full disk, and say so."""
        try:
            work()
        except Exception as error:
            log.error("%s: %s; trying again.", threading.current_thread().name, type(error).__name__, exc_info=error)
            self._stop.wait(10 * LOOK_EVERY)
