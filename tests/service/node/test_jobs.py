"""From a series at rest to a job, and from a job to its end; nothing is done twice or given up silently."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from node_peers import SEG, arrival, config

from medseg.infer.gate.refusal import ANYWAY
from medseg.io.dicom.series import WAY_OUT
from medseg.io.files.lock import exclusive
from medseg.isolation.process import TOO_LONG
from medseg.service.node import jobs
from medseg.service.node.incoming import STORED
from medseg.service.node.store import NodeStore, holding, is_held
from medseg.types.run import CaseOutcome

LATER = 1000.0


@pytest.fixture
def settings(tmp_path):
    rules = [{"when": {"SeriesDescription": "*T1*"}, "model": "hippocampus", "send_to": ["archive"]}]
    return config(tmp_path, rules=rules, destinations={"archive": "dicom://127.0.0.1:1/ARCHIVE"})


@pytest.fixture
def arrive(incoming):
    def keep(count: int = 3, series: str = "1.2.3", description: str = "Sag T1", **more: str) -> list:
        objects = [arrival(series=series, SeriesDescription=description, **more) for _ in range(count)]
        assert {incoming.keep(one) for one in objects} == {STORED}
        return objects

    return keep


def decide(store, settings, *, arriving=(), after: float = LATER) -> int:
    return jobs.make_jobs(store, settings, lambda uid: uid in arriving, time.time() + after)


def states(store, table: str = "jobs") -> list[str]:
    return [row["state"] for row in store.rows(f"select state from {table} order by rowid")]


def outcome(state: str = "done", **more) -> CaseOutcome:
    return CaseOutcome("mr-1", state, "MR, 3 slices", **more)


SENDABLE = [{"instance": "2.25.1", "sop_class": SEG, "case_id": "mr-1", "file": "a.dcm"}]


def test_a_series_is_whole_when_nothing_came_for_a_while_and_its_sender_is_gone(store, settings, arrive):
    arrive()
    assert decide(store, settings, after=0) == 0
    assert decide(store, settings, arriving=["1.2.3"]) == 0
    assert not states(store)
    assert decide(store, settings) == 1
    assert decide(store, settings) == 0  # once
    (row,) = store.rows("select * from jobs")
    assert (row["state"], row["model"], json.loads(row["send_to"]), row["upto"]) == (
        "ready",
        "hippocampus",
        ["archive"],
        3,
    )


def test_what_no_rule_fits_and_what_is_no_scan_is_kept_and_ignored(store, settings, arrive, incoming):
    arrive(series="1.2.3", description="T2")
    incoming.keep(arrival(series="1.2.4", sop_class=SEG, SeriesDescription="T1"))
    incoming.keep(arrival("2.25.9", series="1.2.5", sop_class=SEG, SeriesDescription="T1"))
    store.change(
        "insert into deliveries(destination, instance, sop_class, job, series, case_id, file, made) "
        "values('a', '2.25.9', 'x', 'j', 's', 'c', 'f', 0)"
    )
    decide(store, settings)
    assert not states(store)
    reasons = [row["reason"] for row in store.rows("select reason from series order by uid")]
    assert reasons == [jobs.NO_RULE, jobs.NO_IMAGES, jobs.OWN]
    assert len(list(settings.incoming.rglob("*.dcm"))) == 5


def test_a_header_that_cannot_be_read_holds_up_no_other_series(store, settings, arrive):
    arrive(1, series="1.2.1")
    (file,) = settings.incoming.rglob("*.dcm")
    file.write_bytes(b"damaged on the disk")
    arrive(1, series="1.2.2")
    assert decide(store, settings) == 2
    assert [row["series"] for row in store.rows("select series from jobs")] == ["1.2.2"]
    assert "header cannot be read" in store.rows("select reason from series where uid='1.2.1'")[0]["reason"]


def test_late_objects_make_a_job_that_takes_the_place_of_the_first(store, settings, arrive):
    arrive(2)
    decide(store, settings)
    (first,) = jobs.take(store, time.time(), 8)
    assert jobs.settle(store, settings, first, [outcome()], SENDABLE) == "done"
    assert states(store, "deliveries") == ["ready"]
    arrive(1)
    decide(store, settings)
    assert states(store) == ["superseded", "ready"]
    assert states(store, "deliveries") == ["superseded"]  # it was not sent yet, and never will be


def test_objects_that_come_while_a_job_runs_let_its_result_go(store, settings, arrive):
    arrive(2)
    decide(store, settings)
    (first,) = jobs.take(store, time.time(), 8)
    arrive(1)
    assert jobs.settle(store, settings, first, [outcome()], SENDABLE) == "superseded"
    assert not states(store, "deliveries")
    decide(store, settings)
    assert states(store) == ["superseded", "ready"]


def test_a_job_ends_once(store, settings, arrive):
    arrive(2)
    decide(store, settings)
    (job,) = jobs.take(store, time.time(), 8)
    assert jobs.settle(store, settings, job, [outcome()], SENDABLE) == "done"
    assert jobs.settle(store, settings, job, [outcome("failed")], []) == "done"
    assert states(store) == ["done"]


def test_the_same_objects_again_make_no_further_job(store, settings, arrive, incoming):
    objects = arrive(2)
    decide(store, settings)
    (job,) = jobs.take(store, time.time(), 8)
    jobs.settle(store, settings, job, [outcome()], SENDABLE)
    for one in objects:
        incoming.keep(one)
    store.change("update series set changed=1")
    decide(store, settings)
    assert states(store) == ["done"]


def test_a_clock_that_is_set_back_holds_nothing_up(store, settings, arrive):
    day = 86400
    arrive()
    assert decide(store, settings, after=-day) == 0  # it has just come, by the clock of today
    assert decide(store, settings, after=60 - day) == 1
    (job,) = jobs.take(store, time.time() - day, 8)
    jobs.settle(store, settings, job, [outcome("failed", error="cut off")], [])
    assert not jobs.take(store, time.time() - 1, 8)  # it is tried again after a while
    assert jobs.take(store, time.time() - day, 8) == [replace(job, tries=1)]


def test_three_tries_then_failed_and_somebody_is_told(store, settings, arrive):
    arrive()
    decide(store, settings)
    for tries in (1, 2, 3):
        (job,) = jobs.take(store, time.time() + LATER * tries, 8)
        assert jobs.take(store, time.time() + LATER * tries, 8) == []
        state = jobs.settle(store, settings, job, [outcome("failed", error="cut off", fix="Copy it again.")], [])
        assert state == ("ready" if tries < 3 else "failed")
        assert jobs.take(store, time.time(), 8) == []  # not at once again
    (row,) = store.rows("select * from jobs")
    assert (row["tries"], row["error"], row["fix"]) == (3, "cut off", "Copy it again.")
    (notice,) = store.rows("select body from notices")
    assert json.loads(notice["body"]) == {
        "event": "failed",
        "about": "mr-1",
        "error": "cut off",
        "fix": "Copy it again.",
    }
    assert jobs.retry(store, ["archive"]) == (1, 0)
    assert len(jobs.take(store, time.time(), 8)) == 1


@pytest.mark.parametrize(
    ("code", "state"),
    [("E-input", "failed"), ("E-model", "failed"), ("E-resource-limit", "ready"), ("E-unforeseen", "ready")],
)
def test_what_cannot_change_is_tried_once(store, settings, arrive, code, state):
    arrive()
    decide(store, settings)
    (job,) = jobs.take(store, time.time(), 8)
    assert jobs.settle(store, settings, job, [outcome(), outcome("failed", error="x", code=code)], []) == state
    assert states(store) == [state]


def test_a_withheld_case_is_told_and_never_sent(store, settings, arrive):
    arrive()
    decide(store, settings)
    (job,) = jobs.take(store, time.time(), 8)
    assert jobs.settle(store, settings, job, [outcome("withheld", error="a CT, not an MR")], []) == "withheld"
    assert not states(store, "deliveries")
    assert json.loads(store.rows("select body from notices")[0]["body"])["event"] == "withheld"


@pytest.mark.parametrize(
    ("fix", "said", "not_said"),
    [
        (f"Give a whole head; {ANYWAY}.", "Give a whole head; or, if you know better, run `medseg predict`", "or add"),
        (TOO_LONG[1], "max_seconds in node.yaml", "--max-seconds"),
        (WAY_OUT, "The node has no such option: run `medseg predict` with it on the series", "\n"),
        ("Copy it again.", "Copy it again.", "node"),
    ],
)
def test_what_to_do_is_something_that_a_node_s_owner_can_do(store, settings, arrive, fix, said, not_said):
    arrive()
    decide(store, settings)
    (job,) = jobs.take(store, time.time(), 8)
    jobs.settle(store, settings, job, [outcome("withheld", error="a CT, not an MR", fix=fix)], [])
    notice = json.loads(store.rows("select body from notices")[0]["body"])
    for told in (store.rows("select fix from jobs")[0]["fix"], notice["fix"]):
        assert said in told
        assert not_said not in told


def test_jobs_of_a_killed_node_are_done_again_and_cost_no_try(store, settings, arrive):
    arrive()
    decide(store, settings)
    for _ in range(jobs.MOST_STARTS):
        (job,) = jobs.take(store, time.time(), 8)
        jobs.has_begun(store, job)
        assert jobs.recover(store) == (0 if _ == jobs.MOST_STARTS - 1 else 1)
    assert states(store) == ["failed"]  # at last: it may be what kills the node
    assert store.rows("select tries from jobs")[0]["tries"] == 0


def test_jobs_that_are_taken_together_are_for_one_model(store, settings, arrive):
    for number in range(5):
        arrive(1, series=f"1.2.{number}")
    decide(store, settings)
    store.change("update jobs set model='other' where series='1.2.1'")
    assert [job.series for job in jobs.take(store, time.time(), 3)] == ["1.2.0", "1.2.2", "1.2.3"]
    assert [job.series for job in jobs.take(store, time.time(), 3)] == ["1.2.1"]
    assert [job.series for job in jobs.take(store, time.time(), 3)] == ["1.2.4"]


def test_what_was_deleted_in_part_is_not_segmented_in_part(store, settings, arrive, incoming):
    objects = arrive(2)
    decide(store, settings)
    store.change("update objects set deleted=1")
    incoming.keep(objects[0])
    decide(store, settings)
    (row,) = store.rows("select state, reason from series")
    assert (row["state"], row["reason"]) == ("incomplete", jobs.GONE)
    incoming.keep(objects[1])
    decide(store, settings)
    assert store.rows("select state from series")[0]["state"] == "whole"
    assert len(states(store)) == 1  # and it is the job that there was


def test_a_database_of_a_later_version_is_left_alone(tmp_path):
    from medseg.errors import UsageError

    with NodeStore(tmp_path) as opened:
        opened.change("pragma user_version=99")
    with pytest.raises(UsageError, match="of a later version"):
        NodeStore(tmp_path)


def test_one_node_at_a_time_holds_a_folder(tmp_path):
    from medseg.errors import UsageError

    assert not is_held(tmp_path / "n")
    with holding(tmp_path / "n"):
        assert is_held(tmp_path / "n")
        with pytest.raises(UsageError, match="another node runs in this folder"), holding(tmp_path / "n"):
            pass
    assert not is_held(tmp_path / "n")
    with pytest.raises(UsageError, match="no node has run there"):
        NodeStore(tmp_path / "n", create=False)


def finish(store, settings) -> str:
    (job,) = jobs.take(store, time.time(), 8)
    return jobs.settle(store, settings, job, [outcome()], SENDABLE)


def with_rule(settings, **keys):
    rule = settings.rules[0].model_copy(update=keys)
    return settings.model_copy(update={"rules": (rule,)})


def test_what_no_rule_fitted_is_looked_at_again_when_it_is_sent_again(store, settings, arrive, incoming):
    """Somebody mends a rule, starts the node again and sends the study again."""
    objects = arrive(2, description="PD crop")
    decide(store, settings)
    mended = with_rule(settings, when={"SeriesDescription": "*PD*"})
    assert decide(store, mended) == 0  # nothing old is segmented by itself
    assert {incoming.keep(one) for one in objects} == {STORED}
    assert decide(store, mended, after=0) == 0
    assert decide(store, mended) == 1
    assert states(store) == ["ready"]
    (row,) = store.rows("select state, objects from series")
    assert (row["state"], row["objects"]) == ("whole", 2)


def test_a_series_sent_again_after_its_rule_changed_is_done_by_the_rule_of_today_and_back(
    store, settings, arrive, incoming
):
    (one,) = arrive(1)
    decide(store, settings)
    assert finish(store, settings) == "done"
    other = with_rule(settings, model="another", formats=("dicom-seg", "sr"))
    for rules, expected in (
        (settings, ["done"]),
        (other, ["superseded", "ready"]),
        (settings, ["ready", "superseded"]),
    ):
        incoming.keep(one)
        decide(store, rules)
        assert states(store) == expected
    # The same object as the first time; that was superseded before it was sent, and is to be sent now.
    assert states(store, "deliveries") == ["superseded"]
    assert finish(store, settings) == "done"
    assert states(store, "deliveries") == ["ready"]


def test_a_late_object_that_changes_nothing_keeps_the_result_on_its_way(store, settings, arrive):
    """The result of the second job has the UID of the first one's, whose delivery was taken back."""
    arrive(2)
    decide(store, settings)
    finish(store, settings)
    arrive(1)
    decide(store, settings)
    assert states(store, "deliveries") == ["superseded"]
    finish(store, settings)
    (row,) = store.rows("select d.state, j.state job from deliveries d join jobs j on j.id=d.job")
    assert (row["state"], row["job"]) == ("ready", "done")


def test_a_failed_job_is_tried_again_by_the_rule_of_today(store, settings, arrive):
    arrive(1)
    decide(store, settings)
    store.change("update jobs set state='failed'")
    jobs.retry(store, ["archive"])
    decide(store, settings)
    assert states(store) == ["ready"]
    store.change("update jobs set state='failed'")
    jobs.retry(store, ["archive"])
    decide(store, with_rule(settings, model="another"))
    assert states(store) == ["superseded", "ready"]
    assert store.rows("select model from jobs order by n")[-1]["model"] == "another"


def test_whoever_only_looks_whether_a_node_runs_keeps_none_from_starting(tmp_path):
    with ThreadPoolExecutor(1) as pool, exclusive(tmp_path, "node"):
        start = pool.submit(lambda: holding(tmp_path).__enter__())
        time.sleep(0.1)
        assert not start.done()
    start.result()
