"""What ends a job other than its own case: nothing is lost, and no try is spent on what is nobody's fault."""

import errno
import shutil
import sqlite3
import time
from io import BytesIO
from pathlib import Path

import pytest
from node_peers import arrival
from pydicom import dcmread
from small_series import small_series

import medseg
from medseg.engine import journal
from medseg.engine.run_files import noted_seconds
from medseg.errors import ConfigError, ModelError
from medseg.infer.gate.refusal import ANYWAY
from medseg.io.files.lock import exclusive
from medseg.service.node import jobs, segmenting
from medseg.service.node.incoming import Arrival
from medseg.service.node.node import Node
from medseg.service.node.segmenting import Segmenter, rule_pipeline
from medseg.service.node.way_out import for_owner
from medseg.types.run import CaseOutcome
from medseg.types.scan import Discovery, FoundScan


@pytest.fixture
def taken(store, settings, incoming):
    for number in range(2):
        incoming.keep(arrival(series=f"1.2.{number}"))
    jobs.make_jobs(store, settings, lambda _: False, time.time() + 1000)
    return jobs.take(store, time.time(), 8)


def rows(store) -> list[tuple[str, int]]:
    return [(row["state"], row["tries"]) for row in store.rows("select state, tries from jobs order by n")]


def test_objects_that_are_no_scan_end_the_job_with_a_reason(store, settings, taken):
    Segmenter(settings, store).do(taken)
    found = store.rows("select state, error from jobs")
    assert {row["state"] for row in found} == {"failed"}
    assert all(row["error"] for row in found)
    assert not (settings.folder / "work").exists()


def test_where_there_are_no_links_a_copy_is_whole_or_none(tmp_path, monkeypatch):
    """Half a file in the outbox would be sent after the next start."""

    def no_link(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    def killed(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    source, target = tmp_path / "made.dcm", tmp_path / "outbox" / "1.dcm"
    target.parent.mkdir()
    source.write_bytes(b"half and half")
    monkeypatch.setattr("os.link", no_link)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", killed)
        with pytest.raises(KeyboardInterrupt):
            segmenting._link(source, target)
    assert not target.exists()
    segmenting._link(source, target)
    assert target.read_bytes() == b"half and half"


def test_a_full_disk_costs_no_try(store, settings, taken, monkeypatch):
    segmenter = Segmenter(settings, store)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(segmenter, "_gather", full)
    segmenter.do(taken)
    assert segmenter.waiting
    assert rows(store) == [("ready", 0), ("ready", 0)]


def test_jobs_that_could_not_even_be_given_back_are_done_later(store, settings, taken, monkeypatch):
    monkeypatch.setattr("medseg.service.node.node.WAIT_FOR_SPACE", 0.0)
    monkeypatch.setattr("medseg.service.node.node.LOOK_EVERY", 0.0)
    jobs.give_back(store, taken)
    node, segmenter, done = Node(settings, store, {}), Segmenter(settings, store), []

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(segmenter, "_do", full)
        patch.setattr(jobs, "give_back", full)
        node._do_jobs(segmenter)
    assert rows(store) == [("running", 0), ("running", 0)]
    monkeypatch.setattr(segmenter, "_do", done.extend)
    node._do_jobs(segmenter)
    assert len(done) == 2


def test_another_run_in_the_results_is_waited_for(store, settings, taken):
    segmenter = Segmenter(settings, store)
    with exclusive(settings.results, "1-of-1"):
        segmenter.do(taken)
    assert segmenter.waiting
    assert rows(store) == [("ready", 0), ("ready", 0)]


def test_a_model_that_cannot_be_run_fails_what_is_not_yet_done(store, settings, taken, monkeypatch):
    """The first of two jobs is done when the worker says that no case can be done any more."""
    segmenter = Segmenter(settings, store)
    cases = [FoundScan(f"mr-{job.series}", "dicom", ()) for job in taken]
    monkeypatch.setattr(segmenter, "_gather", lambda _, job: [cases[taken.index(job)]])

    def events(*_: object):
        yield cases[0]
        yield CaseOutcome(cases[0].case_id, "done", "MR")
        raise ModelError("the device is gone", fix="Look for it.")

    monkeypatch.setattr("medseg.service.node.segmenting.run_isolated", events)
    segmenter.do(taken)
    assert rows(store) == [("done", 0), ("failed", 1)]
    assert store.rows("select error from jobs")[1]["error"] == "the device is gone"


def test_a_series_whose_files_somebody_deleted_fails_and_holds_up_no_other(store, settings, taken):
    first = next(settings.incoming.rglob("*.dcm"))
    first.unlink()
    segmenter = Segmenter(settings, store)
    segmenter.do(taken)
    assert not segmenter.waiting
    assert [state for state, _ in rows(store)] == ["failed", "failed"]  # the other, because it holds no scan
    errors = [row["error"] for row in store.rows("select error from jobs")]
    assert sum(error == "1 of its 1 files are gone from incoming/" for error in errors) == 1


def test_a_model_that_is_gone_fails_its_jobs_at_once_and_can_come_back(store, settings, incoming, tmp_path):
    package = tmp_path / "package"
    shutil.copytree(Path(medseg.__file__).parent / "models" / "shipped" / "hippocampus", package)
    source, _ = small_series(tmp_path / "whole")
    for path in source.files:
        one = dcmread(path)
        uids = one.SOPInstanceUID, one.SOPClassUID, one.SeriesInstanceUID
        incoming.keep(Arrival(*uids, "1.2", "CT1", "h", BytesIO(path.read_bytes())))
    rule = settings.rules[0].model_copy(update={"model": str(package)})
    settings = settings.model_copy(update={"rules": (rule,)})
    segmenter = Segmenter(settings, store)
    segmenter.pipeline(rule.model, rule.formats)
    away = package.rename(tmp_path / "away")
    jobs.make_jobs(store, settings, lambda _: False, time.time() + 60)
    segmenter.do(jobs.take(store, time.time(), 8))
    assert not segmenter.waiting
    assert rows(store) == [("failed", 1)]
    assert "model.yaml cannot be read any more" in store.rows("select error from jobs")[0]["error"]
    away.rename(package)
    assert jobs.retry(store, []) == (1, 0)
    segmenter.do(jobs.take(store, time.time(), 8))
    assert rows(store)[0][0] in ("done", "withheld")


def test_the_record_of_a_case_names_a_way_out_that_a_node_has(store, settings, taken, monkeypatch):
    segmenter, cases = Segmenter(settings, store), [FoundScan(f"mr-{job.series}", "dicom", ()) for job in taken]
    monkeypatch.setattr(segmenter, "_gather", lambda _, job: [cases[taken.index(job)]])

    def events(*_: object):
        for case in cases:
            folder = settings.results / case.case_id
            folder.mkdir()
            outcome = CaseOutcome(case.case_id, "withheld", "MR", folder, error="A CT.", fix=f"Give a head; {ANYWAY}.")
            journal.finish(folder, "key", "hash", outcome)
            yield outcome

    monkeypatch.setattr("medseg.service.node.segmenting.run_isolated", events)
    segmenter.do(taken)
    for case in cases:
        status = journal.read_status(settings.results / case.case_id)
        assert status is not None
        assert ANYWAY not in status.content["fix"]
        assert "run `medseg predict` with --anyway on the series" in status.content["fix"]
        # A case found in that state is told so again, in the same words.
        assert for_owner(status.content["fix"]) == status.content["fix"]


def test_a_model_of_several_series_is_refused(monkeypatch):
    from medseg.engine.pipeline import Pipeline
    from medseg.types.channels import WantedChannel

    two = (WantedChannel("T1", "MR"), WantedChannel("T2", "MR"))
    monkeypatch.setattr(Pipeline, "channels", lambda _: two)
    with pytest.raises(ConfigError, match="takes several series of a case"):
        rule_pipeline("hippocampus", ["dicom-seg"], "rule 1")


def test_results_know_where_their_scans_came_from(store, settings, taken):
    store.change("update jobs set state='done', cases='[\"mr-1\"]'")
    segmenter = Segmenter(settings, store)
    segmenter._list_sources()
    lines = (settings.results / "sources.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("mr-1,done,1.2.0,1.2,")
    assert (settings.results / "sources.csv").stat().st_mode & 0o777 == 0o600


def test_a_series_with_a_gap_fails_with_a_reason_that_names_no_folder_of_the_node(store, settings, incoming, tmp_path):
    source, _ = small_series(tmp_path / "whole")
    for number, path in enumerate(sorted(source.files)):
        if number not in (2, 3):
            one, content = dcmread(path), path.read_bytes()
            incoming.keep(
                Arrival(one.SOPInstanceUID, one.SOPClassUID, one.SeriesInstanceUID, "1.2", "CT1", "h", BytesIO(content))
            )
    jobs.make_jobs(store, settings, lambda _: False, time.time() + 60)
    (job,) = jobs.take(store, time.time(), 8)
    Segmenter(settings, store).do([job])
    (row,) = store.rows("select error from jobs")
    assert "slices are missing" in row["error"]
    assert job.id not in row["error"]
    assert next(iter(noted_seconds(settings.results).values())) > 0


@pytest.mark.parametrize("ends", ["done", "failed", "ignored"])
def test_a_result_whose_series_got_more_images_is_taken_out_whatever_becomes_of_the_next(
    store, settings, incoming, monkeypatch, ends
):
    def make_and_take() -> jobs.Job:
        incoming.keep(arrival(series="1.2.5"))
        jobs.make_jobs(store, settings, lambda _: False, time.time() + 1000)
        return jobs.take(store, time.time(), 8)[0]

    segmenter, first = Segmenter(settings, store), make_and_take()
    for case_id in ("mr-old", "mr-of-another"):
        (settings.results / case_id).mkdir()
    (settings.results / "review").mkdir()
    segmenter._settle(first, [CaseOutcome("mr-old", "done", "MR", settings.results / "mr-old")])
    second = make_and_take()
    new = CaseOutcome("mr-new", "done", "MR", settings.results / "mr-new")

    def killed(*_: object) -> None:
        raise sqlite3.OperationalError("the node ends here")

    with monkeypatch.context() as patch, pytest.raises(sqlite3.OperationalError):
        patch.setattr(jobs, "settle", killed)
        segmenter._settle(second, [new])
    assert not (settings.results / "mr-old").exists()  # and the job is done again
    assert jobs.recover(store) == 1
    (settings.results / "mr-old").mkdir()
    (second,) = jobs.take(store, time.time(), 8)
    if ends == "ignored":
        monkeypatch.setattr("medseg.service.node.segmenting.attempt", lambda *_: Discovery((), ()))
        segmenter._gather(segmenter.pipeline(second.model, second.formats), second)
    else:
        segmenter._settle(second, [new if ends == "done" else CaseOutcome("mr-old", "failed", "MR", error="cut off")])
    assert sorted(path.name for path in settings.results.iterdir() if path.is_dir()) == ["mr-of-another", "review"]
    segmenter._list_sources()
    assert "mr-old,done" not in (settings.results / "sources.csv").read_text()


def test_a_result_made_anew_under_its_name_stays(store, settings, taken):
    segmenter, job = Segmenter(settings, store), taken[0]
    case = settings.results / "mr-1"
    case.mkdir()
    store.change(
        "insert into jobs(id, series, upto, rule, model, formats, send_to, made, state, cases) "
        "values('old', ?, 0, 1, 'm', '[]', '[]', 0, 'superseded', '[\"mr-1\"]')", job.series,
    )  # fmt: skip
    segmenter._settle(job, [CaseOutcome("mr-1", "done", "MR", case)])
    assert case.is_dir()
    segmenter._settle(job, [CaseOutcome("series-1", "failed", "MR", error="of a later error, once it has ended")])
    assert case.is_dir()
