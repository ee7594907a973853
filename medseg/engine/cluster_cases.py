"""Cases over the machines of a cluster: the driver leases them to workers and hears how each ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseg.cluster.connection import SECONDS_TO_END, Actor, Cluster
from medseg.cluster.lease_table import TRIES, LeaseTable
from medseg.cluster.messages import Finished, Lost
from medseg.counted import counted
from medseg.engine.case_actor import CaseActor, Shared
from medseg.engine.isolation import CaseEvent
from medseg.engine.outcomes import Work, failure, pending, record_failure
from medseg.engine.staging import is_here
from medseg.errors import Interrupted, MedsegError, ResourceLimit
from medseg.io.files.leftovers import held, part_name, sweep
from medseg.isolation.process import LOOK_EVERY, Guard
from medseg.signals import stop_requests
from medseg.types.run import CaseOutcome
from medseg.types.scan import FoundScan
from medseg.versions import versions

log = logging.getLogger("medseg.run")

# Seconds between two looks at which machines there are, and until a batch without any gives up.
LOOK_FOR_MACHINES, PATIENCE = 2.0, 60.0
# Workers in a row that may die before they begin a case; more, and no case is to blame.
BARREN = 6


def run_on_cluster(
    work: Work, cases: Sequence[FoundScan], guard: Guard, cluster: Cluster
) -> Generator[CaseEvent, None, None]:
    """Run the cases on the workers of a cluster, each of which has a process that holds the models.

    A case that a worker crashes on, or that takes more than the guard allows, fails as on one machine. A worker or
    machine that is lost costs its cases another try; a case that three workers were lost with fails.

    Yields what `run_isolated` yields, of several cases at once, and raises what it raises.

    Raises
    ------
    UsageError
        When a machine of the cluster does not see the same folders or has another medseg.
    ResourceLimit
        When no machine of the cluster is left, workers die before they begin, or the cluster itself is lost.
    """
    table: LeaseTable[Actor, str] = LeaseTable([found.case_id for found in cases])
    # Collected and looked at, so that no message to or from the cluster is cut in two.
    with stop_requests() as cluster.stops:
        try:
            with _shared(work, cases) as shared:
                batch = _Batch(work, cases, guard, cluster, shared, table)
                while not table.is_over:
                    if cluster.stops:
                        raise Interrupted(cluster.stops[0])
                    batch.start_workers()
                    batch.lease()
                    yield from batch.events()
        finally:
            cluster.end()
            lost = table.lost
            if cluster.is_lost:  # its workers see by themselves that the run is over
                time.sleep(SECONDS_TO_END)
                lost |= table.leased
            sweep(work.out, lost=lost)  # what they left half-written


class _Batch:
    """The cases of a run and the workers that have them."""

    def __init__(
        self,
        work: Work,
        cases: Sequence[FoundScan],
        guard: Guard,
        cluster: Cluster,
        shared: Shared,
        table: LeaseTable[Actor, str],
    ) -> None:
        self.work, self.guard, self.cluster, self.shared = work, guard, cluster, shared
        self.found = {found.case_id: found for found in cases}
        self.table = table
        self.sent = cluster.share(work)
        self.ready: set[Actor] = set()
        self.leased: set[Actor] = set()
        self.has_begun: set[Actor] = set()
        self.barren = self.n_places = 0
        self.looked, self.last_machine = -LOOK_FOR_MACHINES, time.monotonic()
        self.last_counts: tuple[int, int] | None = None

    def start_workers(self) -> None:
        """Start a worker wherever there is a place for one and cases wait for it."""
        now = time.monotonic()
        if now - self.looked < LOOK_FOR_MACHINES:
            return
        self.looked = now
        places = self.cluster.places()
        self.n_places = len(places)
        machines = len({place.node for place in places})
        if (len(places), machines) != self.last_counts:
            workers = f"{counted(len(places), 'worker')} on {counted(machines, 'machine')}" if places else "no machine"
            log.info("%s of the cluster", workers)
            self.last_counts = (len(places), machines)
        if places:
            self.last_machine = now
        elif now - self.last_machine > PATIENCE:
            cpus = "" if self.cluster.where.cpus is None else f" with {counted(self.cluster.where.cpus, 'CPU')}"
            raise ResourceLimit(
                f"the cluster has no machine{cpus} for the {counted(self.table.n_open, 'case')} to do",
                fix="Run the same command again when there is one: it resumes.",
            )
        taken = {(actor.place.node, actor.place.index) for actor in self.cluster.actors}
        for place in places:
            idle = sum(actor not in self.leased for actor in self.cluster.actors)
            if (place.node, place.index) not in taken and idle < self.table.n_waiting:
                self.cluster.start(CaseActor, place, self.sent, self.guard).call("check", self.shared)

    def lease(self) -> None:
        """Give cases to the workers that have none."""
        for actor in [actor for actor in self.cluster.actors if actor in self.ready and actor not in self.leased]:
            if cases := self.table.lease(actor, self.n_places):
                self.leased.add(actor)
                actor.call("run", [self.found[case_id] for case_id in cases])

    def events(self) -> Iterator[CaseEvent]:
        """Wait a moment for what the workers have to say."""
        if not any(actor.is_busy for actor in self.cluster.actors):
            time.sleep(LOOK_EVERY)
        for actor, event in self.cluster.hear(LOOK_EVERY):
            match event:
                case Lost():
                    yield from self._lost(actor, event)
                case Finished() if actor in self.leased:
                    self.leased.discard(actor)
                    self.table.hand_back(actor)
                    self.lease()
                case Finished():
                    self.ready.add(actor)
                    self.lease()
                case MedsegError():  # of no case: the whole run ends by it
                    raise event
                case FoundScan():
                    self.barren = 0
                    self.has_begun.add(actor)
                    self.table.take_in_hand(actor, event.case_id)
                    yield event
                case CaseOutcome():
                    if self.table.end(actor, event.case_id):
                        yield event
                case _:
                    yield event

    def _lost(self, actor: Actor, why: Lost) -> Iterator[CaseOutcome]:
        log.debug("worker on %s lost: %s", actor.place.host, why.reason)
        self.looked = -LOOK_FOR_MACHINES  # another one may start at once
        self.ready.discard(actor)
        self.barren += actor not in self.has_begun
        if self.barren > max(BARREN, 3 * self.n_places):
            raise ResourceLimit(
                f"the cluster's workers die before they begin a case ({why.reason})",
                fix="`medseg doctor` on a machine of the cluster says whether its installation is complete.",
            )
        if actor not in self.leased:
            return
        self.leased.discard(actor)
        blamed = self.table.lose(actor)
        log.warning("A worker on %s was lost; its cases are tried again.", actor.place.host)
        for case_id in blamed:
            outcome = failure(
                pending(self.found[case_id], self.work.out),
                f"each of the {TRIES} workers that had it was lost",
                "Check the file in another program, and run this one case on one machine.",
            )
            record_failure(outcome, model=self.work.model)
            yield outcome


@contextmanager
def _shared(work: Work, cases: Sequence[FoundScan]) -> Iterator[Shared]:
    """Leave a mark in the output folder, as long as the run lasts.

    By it a machine of the cluster knows that it sees the same folder, and that somebody still waits for its cases.
    """
    mark = work.out / part_name("cluster")
    mark.touch()
    try:
        with held(mark):
            files: tuple[Path, ...] = cases[0].files[:1] if cases and is_here(cases[0]) else ()
            yield Shared(mark, files, versions()["medseg"])
    finally:
        mark.unlink(missing_ok=True)
