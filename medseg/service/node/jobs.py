"""Jobs: a series that is whole, a rule that fits it, and how it ended."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from medseg.config.safe_json import parse_json
from medseg.errors import MedsegError, ResourceLimit, UnforeseenError
from medseg.io.dicom.not_a_scan import VOLUMES
from medseg.isolation.boundary import attempt
from medseg.service.node.config import NodeConfig
from medseg.service.node.notices import add_notice
from medseg.service.node.overdue import NEED_A_PERSON, needing
from medseg.service.node.rules import first_fit, read_header
from medseg.service.node.store import NodeStore
from medseg.service.node.way_out import for_owner
from medseg.types.run import CaseOutcome

# Of a job that never ends, because the whole node ends with it; it costs no try, as somebody may just restart the node.
MOST_STARTS = 20
RETRY_SECONDS, LONGEST_RETRY = 10.0, 600.0
AHEAD_SECONDS = 1.0
# Codes of what may end otherwise the next time; a crash has none. What else is wrong with a series or model stays so.
PASSING = {None, ResourceLimit.code_of_kind(), UnforeseenError.code_of_kind()}
GONE = "part of it was deleted after its time; send the whole series again"
NO_IMAGES = "it holds no images of a scan"
OWN = "it is a result of this node"
NO_RULE = "no rule fits"
SHORT_ID = 10  # letters of a job's id where it has no case


@dataclass(frozen=True)
class Job:
    """A job that was taken."""

    id: str
    series: str
    upto: int  # number of the last object that is part of it
    model: str
    formats: tuple[str, ...]
    send_to: tuple[str, ...]
    tries: int

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Job:
        """Read a row."""
        formats, send_to = parse_json(row["formats"]), parse_json(row["send_to"])
        return cls(row["id"], row["series"], row["upto"], row["model"], tuple(formats), tuple(send_to), row["tries"])


def make_jobs(store: NodeStore, config: NodeConfig, is_arriving: Callable[[str], bool], now: float) -> int:
    """Make a job of each series that is whole and fits a rule; return how many series were decided on."""
    # A clock that was set back would have them wait until it is again what it was.
    if store.rows("select 1 from series where changed=1 and last>? limit 1", now + AHEAD_SECONDS):
        store.change("update series set last=? where changed=1 and last>?", now, now)
    quiet = store.rows(
        "select uid, last from series where changed=1 and last<=? order by first", now - config.quiet_seconds
    )
    whole = [row for row in quiet if not is_arriving(row["uid"])]
    for row in whole:
        _decide(store, config, row["uid"], row["last"], now)
    return len(whole)


def _decide(store: NodeStore, config: NodeConfig, series: str, last: float, now: float) -> None:
    objects = store.rows(
        "select n, instance, sha256, sop_class, file, deleted from objects where series=? order by instance", series
    )
    rule: int | None = None
    state, reason = "ignored", ""
    images = [one for one in objects if one["sop_class"] in VOLUMES]
    if any(one["deleted"] is not None for one in objects):
        state, reason = "incomplete", GONE
    elif not images:
        marks = ",".join("?" * len(objects))
        query = f"select 1 from deliveries where instance in ({marks}) limit 1"  # noqa: S608 (question marks)
        reason = OWN if store.rows(query, *(one["instance"] for one in objects[:500])) else NO_IMAGES
    else:
        fit = attempt(_rule_of, config, images[0]["file"])
        if isinstance(fit, MedsegError):
            state, reason = "ignored", f"its header cannot be read: {fit.what}"
        else:
            rule = fit
            state, reason = ("ignored", NO_RULE) if rule is None else ("whole", "")
    with store.transaction() as db:
        changed = db.execute(
            "update series set changed=0, state=?, reason=? where uid=? and last=?", (state, reason, series, last)
        )
        if not changed.rowcount:  # something came in the meantime
            return
        if rule is not None:
            made_of = [series, _asked(config, rule), *(f"{one['instance']} {one['sha256']}" for one in objects)]
            _add(
                db,
                config,
                hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:24],
                series,
                max(o["n"] for o in objects),
                rule,
                now,
            )


def _asked(config: NodeConfig, number: int) -> str:
    """What a rule asks for: the same objects are another job once it asks for something else."""
    rule = config.rules[number]
    return json.dumps([rule.model, rule.formats, rule.send_to])


def _rule_of(config: NodeConfig, file: str) -> int | None:
    return first_fit(config.rules, read_header(config.incoming / file, config.rules))


def _add(db: sqlite3.Connection, config: NodeConfig, id: str, series: str, upto: int, number: int, now: float) -> None:
    """Add a job unless there is one of the same objects for the same rule; it replaces all earlier ones of the series.

    One that was replaced comes back where its rule does: somebody changed node.yaml, and changed it back.
    """
    rule = config.rules[number]
    added = db.execute(
        "insert into jobs(id, series, upto, rule, model, formats, send_to, made) values(?,?,?,?,?,?,?,?) "
        "on conflict(id) do update set state='ready', tries=0, starts=0, next=0, error='', fix='', ended=null "
        "where state='superseded'",
        (id, series, upto, number + 1, rule.model, json.dumps(rule.formats), json.dumps(rule.send_to), now),
    ).rowcount
    if added:
        db.execute(
            "update jobs set state='superseded', ended=coalesce(ended, ?) where series=? and id<>?", (now, series, id)
        )
        db.execute(
            "update deliveries set state='superseded' where series=? and state in ('ready', 'refused')", (series,)
        )


def recover(store: NodeStore) -> int:
    """Give back the jobs of a node that was killed; the caller holds the folder. Return how many."""
    store.change(
        "update jobs set state='failed', error='the node ended each time it was done', fix='See its log.', ended=? "
        "where state='running' and starts>=?", time.time(), MOST_STARTS,
    )  # fmt: skip
    return store.change("update jobs set state='ready' where state='running'")


def take(store: NodeStore, now: float, most: int) -> list[Job]:
    """Take the next jobs, all for the same model and formats, so that one worker does them."""
    with store.transaction() as db:
        due = (now, now + LONGEST_RETRY)
        first = db.execute(
            "select * from jobs where state='ready' and (next<=? or next>?) order by n limit 1", due
        ).fetchone()
        if first is None:
            return []
        rows = db.execute(
            "select * from jobs where state='ready' and (next<=? or next>?) and model=? and formats=? "
            "order by n limit ?",
            (*due, first["model"], first["formats"], most),
        ).fetchall()
        db.executemany("update jobs set state='running' where id=?", [(row["id"],) for row in rows])
    return [Job.from_row(row) for row in rows]


def give_back(store: NodeStore, jobs: Sequence[Job]) -> None:
    """Let jobs that were taken and not ended wait again."""
    with store.transaction() as db:
        db.executemany("update jobs set state='ready' where id=? and state='running'", [(job.id,) for job in jobs])


def has_begun(store: NodeStore, job: Job) -> None:
    """Record that a job is being worked on."""
    store.change("update jobs set starts=starts+1 where id=?", job.id)


def settle(
    store: NodeStore,
    config: NodeConfig,
    job: Job,
    outcomes: Sequence[CaseOutcome],
    sendable: Sequence[Mapping[str, str]],
) -> str:
    """Record how the cases of a job ended; return the job's state.

    `sendable` are the objects to deliver: instance, SOP class, case id and file of each.
    """
    now = time.time()
    failed = next((one for one in outcomes if one.written_state == "failed"), None)
    may_pass = any(one.written_state == "failed" and one.code in PASSING for one in outcomes)
    withheld = next((one for one in outcomes if one.written_state == "withheld"), None)
    worst = failed or withheld
    state = "failed" if failed else "withheld" if withheld else "done"
    cases = json.dumps([one.case_id for one in outcomes])
    tries = job.tries + (1 if failed else 0)
    with store.transaction() as db:
        row = db.execute("select state from jobs where id=?", (job.id,)).fetchone()
        late = db.execute("select 1 from objects where series=? and n>? limit 1", (job.series, job.upto)).fetchone()
        if row["state"] != "running":  # ended already, or a newer job took its place
            return str(row["state"])
        if late is not None:
            db.execute("update jobs set state='superseded', cases=?, ended=? where id=?", (cases, now, job.id))
            return "superseded"
        error, fix = ("", "") if worst is None else (worst.error or "", for_owner(worst.fix or ""))
        error = error.removeprefix(f"{job.id}: ")  # the folder of the job, which nobody can look into any more
        if may_pass and tries < config.tries:
            wait = min(LONGEST_RETRY, RETRY_SECONDS * 2**job.tries)
            db.execute(
                "update jobs set state='ready', tries=?, next=?, cases=?, error=?, fix=? where id=?",
                (tries, now + wait, cases, error, fix, job.id),
            )
            return "ready"
        db.execute(
            "update jobs set state=?, tries=?, cases=?, error=?, fix=?, ended=? where id=?",
            (state, tries, cases, error, fix, now, job.id),
        )
        db.executemany(
            # An earlier job of the series may have made the same object, and was superseded before it was sent.
            "insert into deliveries(destination, instance, sop_class, job, series, case_id, file, made) "
            "values(?,?,?,?,?,?,?,?) on conflict(destination, instance) do update set state='ready', job=excluded.job, "
            "case_id=excluded.case_id, file=excluded.file, tries=0, next=0, error='' where state='superseded'",
            [
                (name, one["instance"], one["sop_class"], job.id, job.series, one["case_id"], one["file"], now)
                for one in sendable
                for name in job.send_to
            ],
        )
        if worst is not None:
            add_notice(db, state, worst.case_id, error, fix)
    return state


def replaced_cases(store: NodeStore, job: Job) -> set[str]:
    """Return the cases of earlier jobs of the series, unless another series has them; none where the job is over."""
    if not store.rows("select 1 from jobs where id=? and state='running'", job.id):
        return set()
    earlier = "select cases from jobs where series=? and id<>? and state='superseded'"
    cases = _cases(store.rows(earlier, job.series, job.id))
    if not cases:
        return cases
    return cases - _cases(
        store.rows("select cases from jobs where state in ('done', 'failed', 'withheld') and series<>?", job.series)
    )


def _cases(rows: Sequence[sqlite3.Row]) -> set[str]:
    return {case_id for row in rows for case_id in parse_json(row["cases"])}


def ignore(store: NodeStore, job: Job, reason: str) -> None:
    """Record that a job's series holds no scan."""
    store.change("update jobs set state='ignored', error=?, ended=? where id=?", reason, time.time(), job.id)


def retry(store: NodeStore, destinations: Collection[str]) -> tuple[int, int]:
    """Try again what failed for good, by the rules of today, and what was refused; return how many of each.

    What is for none of the `destinations` of today stays refused.
    """
    store.change("update series set changed=1 where uid in (select series from jobs where state='failed')")
    jobs = store.change("update jobs set state='ready', tries=0, starts=0, next=0, ended=null where state='failed'")
    deliveries = store.change(
        "update deliveries set state='ready', tries=0, next=0 "
        "where state='refused' and destination in (select value from json_each(?))", json.dumps(list(destinations)),
    )  # fmt: skip
    return jobs, deliveries


def dismiss(store: NodeStore, config: NodeConfig, cases: Sequence[str] = ()) -> int:
    """Take what somebody has seen off the list: failed and withheld jobs, deliveries, incomplete series.

    Of these `cases` only, where any are given. Nothing is deleted, and nothing dismissed is tried again. Returns how
    many entries were dismissed.
    """
    wanted, count = set(cases), 0
    with store.transaction() as db:
        for row in db.execute("select n, id, cases from jobs where state in ('failed', 'withheld')").fetchall():
            if not wanted or wanted & {*parse_json(row["cases"]), row["id"][:SHORT_ID]}:
                count += db.execute("update jobs set state='dismissed' where n=?", (row["n"],)).rowcount
        open_ones = f"select n, case_id from deliveries where {NEED_A_PERSON}"  # noqa: S608 (texts of ours)
        for row in db.execute(open_ones, needing(config, time.time())).fetchall():
            if not wanted or row["case_id"] in wanted:
                count += db.execute("update deliveries set state='dismissed' where n=?", (row["n"],)).rowcount
        if not wanted:
            count += db.execute("update series set state='ignored' where state='incomplete'").rowcount
    return count
