"""Folds side by side: each trains on a machine of a Ray cluster, and leaves what it would have left here."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from medseg.cluster.connection import Actor, Cluster, OnCluster, connected
from medseg.cluster.lease_table import TRIES, LeaseTable
from medseg.cluster.messages import Finished, Lost
from medseg.errors import Interrupted, MedsegError, ResourceLimit
from medseg.isolation.process import LOOK_EVERY
from medseg.signals import stop_requests
from medseg.training.fold_actor import SECONDS_TO_STOP, FoldActor
from medseg.training.training_run import TrainingRun
from medseg.versions import versions

log = logging.getLogger("medseg.train")

# Seconds until a training that no machine can take gives up.
PATIENCE = 60.0


def train_on_cluster(runs: Sequence[TrainingRun], where: OnCluster) -> None:
    """Train runs, each in a folder of its own, on as many machines as there are; those of a lost machine resume.

    Raises
    ------
    Interrupted
        When a signal asks to stop; every run in hand writes its checkpoint.
    MedsegError
        What a run ended with, or where three machines were lost with one.
    """
    if not runs:
        return
    by_name = {run.out.name: replace(run, out=run.out.resolve(), cluster=None) for run in runs}
    table: LeaseTable[Actor, str] = LeaseTable(list(by_name))
    names: dict[Actor, str] = {}
    last_machine = time.monotonic()
    # Stop requests are collected and looked at, so that no message to or from the cluster is cut in two.
    with connected(where) as cluster, stop_requests() as cluster.stops, _ended(cluster):
        while not table.is_over:
            if cluster.stops:
                raise Interrupted(cluster.stops[0])
            taken = {(actor.place.node, actor.place.index) for actor in names}
            places = cluster.places()
            for place in [place for place in places if (place.node, place.index) not in taken][: table.n_waiting]:
                actor = cluster.start(FoldActor, place, versions()["medseg"])
                (names[actor],) = table.lease(actor, len(by_name))
                table.take_in_hand(actor, names[actor])
                log.info("Training %s on %s.", names[actor], place.host)
                actor.call("train", by_name[names[actor]])
            if places:
                last_machine = time.monotonic()
            elif time.monotonic() - last_machine > PATIENCE:
                raise ResourceLimit(
                    "no machine of the cluster can take a fold", fix="Run the same command again later."
                )
            if not names:
                time.sleep(LOOK_EVERY)
            for actor, event in cluster.hear(LOOK_EVERY):
                match event:
                    case MedsegError():
                        raise event
                    case Finished():
                        log.info("%s is trained.", names[actor])
                        table.end(actor, names.pop(actor))
                        table.hand_back(actor)
                        cluster.kill(actor)
                    case Lost():
                        name = names.pop(actor)
                        if table.lose(actor):
                            raise ResourceLimit(
                                f"each of the {TRIES} workers that trained it was lost ({event.reason})",
                                where=name,
                                fix="Look at that machine's memory and log, and run the same command again.",
                            )
                        log.warning("The worker of %s on %s was lost; another resumes it.", name, actor.place.host)
                    case _:
                        level, text = event
                        log.log(level, "%s: %s", names[actor], text)


@contextmanager
def _ended(cluster: Cluster) -> Iterator[None]:
    try:
        yield
    finally:
        cluster.end(SECONDS_TO_STOP)
