"""Where a node stands, in counts and in what needs a person; nothing of a patient."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.service.node.config import NodeConfig
from medseg.service.node.incoming import PARTS, QUARANTINE
from medseg.service.node.overdue import LATE, kept_longer, late, overdue
from medseg.service.node.reasons import GONE, GONE_FIX, REFUSED_FIX, UNANSWERED, UNCOMMITTED_FIX, sentences
from medseg.service.node.store import NodeStore, is_held

MOST_SHOWN = 200
MOST_REASONS = 10
JOB_STATES = ("ready", "running", "done", "failed", "withheld", "ignored", "superseded", "dismissed")
DELIVERY_STATES = ("ready", "sent", "committed", "refused", "superseded", "dismissed")
WRITTEN = ("incoming", PARTS, QUARANTINE, "results", "outbox")  # folders, where they are there
SERIES_STATES = ("arriving", "whole", "ignored", "incomplete")


@dataclass(frozen=True)
class JobLine:
    """One job, as the queue page and `serve status` show it."""

    job: str
    cases: tuple[str, ...]
    model: str
    state: str
    tries: int
    error: str
    fix: str
    made: float

    @property
    def message(self) -> str:
        """What happened and what to do, as sentences."""
        return sentences(self.error, self.fix)


@dataclass(frozen=True)
class DeliveryLine:
    """One delivery that is not over."""

    case_id: str
    destination: str
    state: str
    tries: int
    next: float
    error: str
    fix: str = ""

    @property
    def message(self) -> str:
        """Why it is not over and what to do, as sentences."""
        return sentences(self.error, self.fix)


@dataclass(frozen=True)
class NodeStatus:
    """Where a node stands."""

    running: bool
    objects: int
    last_object: float | None
    quarantined: int
    free_bytes: int
    series: dict[str, int]
    jobs: dict[str, int]
    deliveries: dict[str, dict[str, int]]  # by destination
    oldest_waiting: float  # seconds that the oldest job or delivery has been waiting
    lines: tuple[JobLine, ...]  # what needs a person first, then the newest
    undelivered: tuple[DeliveryLine, ...]
    ignored: dict[str, int]  # series, by the reason
    uncommitted: dict[str, int]  # results that an archive does not commit to keep in time, by destination
    kept_longer: int  # series past keep_days that no archive commits to
    without_destination: int  # results that wait for a destination which node.yaml no longer has
    unwritable: tuple[str, ...] = ()  # folders that cannot be written now

    @property
    def needs_a_person(self) -> bool:
        """Whether anything failed, was refused, withheld or not committed, came as another, or cannot be written."""
        results = sum(counts["refused"] for counts in self.deliveries.values()) + self.without_destination
        results += sum(self.uncommitted.values()) + self.kept_longer
        troubles = self.jobs["failed"] + self.jobs["withheld"] + self.series["incomplete"] + self.quarantined
        return bool(results + troubles) or bool(self.unwritable)

    @property
    def jobs_not_shown(self) -> int:
        """How many jobs are counted and not among the lines."""
        listed = sum(count for state, count in self.jobs.items() if state not in ("superseded", "dismissed"))
        return listed - len(self.lines)

    @property
    def deliveries_not_shown(self) -> int:
        """How many deliveries that are not over are counted and not among the lines."""
        waiting = sum(each["ready"] + each["refused"] for each in self.deliveries.values())
        return waiting - sum(one.state != "sent" for one in self.undelivered)

    def to_json(self) -> dict[str, Any]:
        """As ``serve status --json`` prints it."""
        return {**asdict(self), "needs_a_person": self.needs_a_person}


def node_status(store: NodeStore, config: NodeConfig) -> NodeStatus:
    """Read where a node stands, whether it runs or not."""
    now = time.time()
    series = _counts(store, "series", SERIES_STATES)
    jobs = _counts(store, "jobs", JOB_STATES)
    deliveries: dict[str, dict[str, int]] = {}
    for row in store.rows("select destination, state, count(*) c from deliveries group by 1, 2"):
        deliveries.setdefault(row["destination"], dict.fromkeys(DELIVERY_STATES, 0))[row["state"]] = row["c"]
    waiting = store.rows(
        "select min(made) m from (select made from jobs where state in ('ready', 'running') "
        "union all select made from deliveries where state='ready')"
    )[0]["m"]
    last = store.rows("select max(last) m from series")[0]["m"]
    return NodeStatus(
        is_held(store.folder),
        store.rows("select coalesce(sum(objects), 0) c from series")[0]["c"],  # faster by far than to count them
        last,
        _files(store.folder / QUARANTINE),
        shutil.disk_usage(store.folder).free,
        series,
        jobs,
        deliveries,
        0.0 if waiting is None else max(0.0, now - waiting),
        _lines(store),
        _undelivered(store, config, now),
        {
            row["reason"]: row["c"]
            for row in store.rows(
                "select reason, count(*) c from series where state='ignored' group by reason order by c desc limit ?",
                MOST_REASONS,
            )
        },
        overdue(store, config, now),
        kept_longer(store, config, now),
        sum(counts["ready"] for name, counts in deliveries.items() if name not in config.destinations),
        unwritable(store.folder),
    )


def unwritable(folder: Path) -> tuple[str, ...]:
    """Return which folders of a node the system does not let this user write to: read-only, or another's."""
    places = (folder, *(folder / name for name in WRITTEN))
    return tuple(str(place) for place in places if place.is_dir() and not os.access(place, os.W_OK | os.X_OK))


def status(config: NodeConfig) -> NodeStatus:
    """Read where a node stands; `UsageError` where none has run."""
    with NodeStore(config.folder, create=False) as store:
        return node_status(store, config)


def _files(folder: Path) -> int:
    """Number of files; whoever has looked into one deletes it."""
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def _counts(store: NodeStore, table: str, states: tuple[str, ...]) -> dict[str, int]:
    rows = store.rows(f"select state, count(*) c from {table} group by state")  # noqa: S608 (a name of ours)
    return dict.fromkeys(states, 0) | {row["state"]: row["c"] for row in rows}


def _undelivered(store: NodeStore, config: NodeConfig, now: float) -> tuple[DeliveryLine, ...]:
    rows = store.rows(
        f"select * from deliveries where state in ('ready', 'refused') or ({LATE}) "  # noqa: S608
        "order by state='refused' desc, state='sent' desc, n desc limit ?",
        *late(config, now),
        MOST_SHOWN,
    )
    lines = []
    for row in rows:
        error, fix = row["error"], ""
        if row["destination"] not in config.destinations:
            error, fix = GONE, GONE_FIX
        elif row["state"] == "refused":
            fix = REFUSED_FIX
        elif row["state"] == "sent":
            error, fix = error or UNANSWERED, UNCOMMITTED_FIX
        lines.append(
            DeliveryLine(row["case_id"], row["destination"], row["state"], row["tries"], row["next"], error, fix)
        )
    return tuple(lines)


def _lines(store: NodeStore) -> tuple[JobLine, ...]:
    rows = store.rows(
        "select * from jobs where state not in ('superseded', 'dismissed') "
        "order by state not in ('failed', 'withheld'), n desc limit ?",
        MOST_SHOWN,
    )
    return tuple(
        JobLine(
            row["id"], tuple(parse_json(row["cases"])), row["model"], row["state"], row["tries"], row["error"],
            row["fix"], row["made"],
        )
        for row in rows
    )  # fmt: skip
