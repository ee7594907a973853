"""Shards together leave what one run leaves, and say of each other what is missing; nothing is written over."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from medseg.engine import batch_report, shard_files
from medseg.engine.pipeline import PipelineFile, assemble
from medseg.engine.report import report
from medseg.engine.run_files import run_content
from medseg.engine.runner import RunOptions, run
from medseg.engine.shard import Shard
from medseg.engine.stages.drawing import BatchReport
from medseg.errors import InputError, UsageError
from medseg.io.files.lock import exclusive
from medseg.types.run import BatchResult, CaseOutcome, ClassVolume, Inputs, Volumes
from medseg.types.stage import RunContext


def go(structure: PipelineFile, texts: Path, out: Path, shard: Shard | None = None, config: Any = None) -> BatchResult:
    options = RunOptions(isolate=False, shard=shard)
    return run(assemble("toy", structure, config or {}), Inputs((texts,)), out, options)


def tables(out: Path) -> dict[str, Any]:
    """What a run leaves for all, without its times."""
    content = json.loads((out / "run.json").read_text())
    for name in ("started", "seconds", "shards"):
        content.pop(name, None)
    for case in content["cases"]:
        case.pop("seconds")
    page = (out / "report.html").read_text()
    return {"run": content, **{name: (out / name).read_text() for name in ("cases.csv", "sources.csv")}, "page": page}


@pytest.fixture
def whole(structure: PipelineFile, texts: Path, tmp_path: Path) -> Path:
    """The folder of an unsharded run."""
    out = tmp_path / "whole"
    result = go(structure, texts, out)
    BatchReport(BatchReport.Options()).run(result, RunContext(out))
    return out


def test_a_report_over_shards_is_that_of_one_run(structure, texts, tmp_path, whole):
    out = tmp_path / "out"
    for index in (2, 3, 1):
        go(structure, texts, out, Shard(index, 3))
    assert report(out).exit_code == 3
    assert tables(out) == tables(whole)
    for name in ("sources.csv", "cases.1-of-3.jsonl"):
        assert (out / name).stat().st_mode & 0o777 == 0o600
    assert json.loads((out / "run.json").read_text())["shards"] == {"count": 3, "unfinished": []}


def test_what_has_not_finished_is_said(structure, texts, tmp_path, caplog):
    out = tmp_path / "out"
    for index in (1, 2, 4):
        go(structure, texts, out, Shard(index, 5))
    path = out / "run.2-of-5.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "exit_code": None}))  # as a killed one leaves it
    (out / "run.4-of-5.json").write_text("{half")
    (out / "cases.1-of-5.jsonl").write_text("{half")
    with caplog.at_level("INFO", logger="medseg"):
        result = report(out)
    assert result.unfinished == (1, 2, 3, 4, 5)
    assert "5 of 5 shards have not finished: 1, 2, 3, 4, 5" in caplog.text
    assert "cases.1-of-5.jsonl cannot be read" in caplog.text
    assert json.loads((out / "run.json").read_text())["exit_code"] is None
    assert "5 of 5 shards have not finished: 1, 2, 3, 4, 5" in (out / "report.html").read_text()


def test_a_report_of_nothing_or_of_a_mixture_is_refused(structure, texts, tmp_path, whole):
    with pytest.raises(UsageError, match="no shard has left anything"):
        report(whole)
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 2))
    go(structure, texts, out, Shard(2, 2), {"shout": {"mark": "?"}})
    with pytest.raises(UsageError, match="shards 1 and 2 were made by different models"):
        report(out)
    go(structure, texts, out, Shard(2, 2))
    content = json.loads((whole / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**content, "started": "2999-01-01T00:00:00+0000"}))
    with pytest.raises(UsageError, match="a run without --shard has written its own report since"):
        report(out)


def test_parts_of_different_lists_are_no_whole(structure, texts, tmp_path):
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 2))
    (texts / "arrived.txt").write_text("later")
    go(structure, texts, out, Shard(2, 2))
    with pytest.raises(UsageError, match="shards 1 and 2 are parts of different lists of cases"):
        report(out)
    go(structure, texts, out, Shard(1, 2))
    assert "arrived" in {outcome.case_id for outcome in report(out).outcomes}


def test_a_shard_whose_rows_are_lost_has_not_finished(structure, texts, tmp_path):
    out = tmp_path / "out"
    for index in (1, 2):
        go(structure, texts, out, Shard(index, 2))
    rows = out / "cases.1-of-2.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
    (out / "run.2-of-2.json").write_text("{}")
    result = report(out)
    assert result.unfinished == (1, 2)
    assert result.exit_code != 0


@pytest.mark.parametrize(
    "odd",
    [
        {"started": 5},
        {"started": "yesterday"},
        {"seconds": "long"},
        {"seconds": float("nan")},
        {"exit_code": "zero"},
        {"cases": [7]},
        {"cases": {}},
        {"shard": {"index": 1, "count": 2, "corrupt": 0}},
        {"shard": {"index": 2, "count": 2, "corrupt": -1}},
    ],
)
def test_a_shard_of_which_the_file_says_odd_things_has_not_finished(structure, texts, tmp_path, odd):
    out = tmp_path / "out"
    for index in (1, 2):
        go(structure, texts, out, Shard(index, 2))
    path = out / "run.2-of-2.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **odd}))
    assert report(out).unfinished == (2,)


def test_rows_of_another_shard_are_not_taken_for_its_own(structure, texts, tmp_path, caplog):
    out = tmp_path / "out"
    for index in (1, 2):
        go(structure, texts, out, Shard(index, 2))
    shutil.copyfile(out / "cases.1-of-2.jsonl", out / "cases.2-of-2.jsonl")
    result = report(out)
    assert result.unfinished == (2,)
    ids = [outcome.case_id for outcome in result.outcomes]
    assert len(ids) == len(set(ids))
    assert "cases.2-of-2.jsonl has other cases than run.2-of-2.json lists" in caplog.text


def test_one_part_of_one_is_a_shard_too(structure, texts, tmp_path, whole):
    out = tmp_path / "out"
    result = go(structure, texts, out, Shard(1, 1))
    assert (result.elsewhere, sorted(path.name for path in out.glob("[!.]*.json"))) == (0, ["run.1-of-1.json"])
    assert report(out).unfinished == ()
    assert tables(out) == tables(whole)


def test_a_case_whose_folder_was_deleted_is_not_done(structure, texts, tmp_path):
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 2))
    go(structure, texts, out, Shard(2, 2))
    done = [outcome for outcome in report(out).outcomes if outcome.outputs]
    shutil.rmtree(done[0].folder)
    (gone,) = [outcome for outcome in report(out).outcomes if outcome.case_id == done[0].case_id]
    assert (gone.written_state, gone.error, gone.fix) == (
        "failed", "its folder of results is gone", "Run its shard again.",
    )  # fmt: skip


def test_a_case_of_which_a_file_was_deleted_is_not_done(structure, texts, tmp_path):
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 1))
    one, other = [outcome for outcome in report(out).outcomes if outcome.outputs][:2]
    (one.folder / one.outputs[-1]).unlink()
    (other.folder / "status.json").unlink()
    errors = {outcome.case_id: outcome.error for outcome in report(out).outcomes}
    assert errors[one.case_id] == errors[other.case_id] == "files of its results are gone"


@pytest.mark.parametrize("name", ["run.1-of-2.json", "cases.1-of-2.jsonl"])
def test_files_of_another_user_are_said_and_replace_nothing(structure, texts, tmp_path, monkeypatch, name):
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 2))
    go(structure, texts, out, Shard(2, 2))
    report(out)
    before = (out / "run.json").read_bytes()

    def refused(path, *arguments, **options):
        if path.name == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    real = Path.open
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(InputError, match="what a shard left may not be read by this user"):
        report(out)
    monkeypatch.undo()
    assert (out / "run.json").read_bytes() == before


def test_a_case_folder_of_another_user_is_said(structure, texts, tmp_path, monkeypatch):
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 1))

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(InputError, match="what a shard left may not be read by this user"):
        report(out)


def age(out: Path, pattern: str) -> None:
    """Let runs have begun long ago."""
    for path in out.glob(pattern):
        path.write_text(json.dumps({**json.loads(path.read_text()), "started_utc": "2001-01-01T00:00:00Z"}))


def test_shards_of_another_number_are_left_aside(structure, texts, tmp_path):
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 2))
    for index in (1, 2, 3):
        go(structure, texts, out, Shard(index, 3))
    age(out, "run.1-of-2.json")
    assert (report(out).shards, report(out).unfinished) == (3, ())


def test_one_task_of_an_array_started_again_does_not_do_the_whole_list(structure, texts, tmp_path):
    out = tmp_path / "out"
    go(structure, texts, out, Shard(1, 3))
    before = sorted(path.name for path in out.iterdir())
    alone = {f"SLURM_ARRAY_TASK_{name}": "1" for name in ("ID", "COUNT", "MIN", "MAX")}
    with pytest.raises(UsageError, match=r"the array has 1 task, and there are files of a run in 3 parts") as caught:
        go(structure, texts, out, Shard.parse("auto", alone))
    assert caught.value.fix is not None
    assert "name it: --shard 1/3" in caught.value.fix
    assert sorted(path.name for path in out.iterdir()) == before
    again = {**alone, "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MAX": "3"}
    go(structure, texts, out, Shard.parse("auto", again))


def test_a_complete_report_is_not_replaced_because_a_run_in_other_parts_has_begun(structure, texts, tmp_path, caplog):
    out = tmp_path / "out"
    for index in (1, 2, 3):
        go(structure, texts, out, Shard(index, 3))
    report(out)
    age(out, "run.*-of-3.json")
    before = tables(out)
    caplog.clear()
    go(structure, texts, out, Shard(1, 2))
    assert "1/2: there are files of a run in 3 parts, too" in caplog.text
    with pytest.raises(
        UsageError, match=r"1 of the 2 parts of the latest run have not finished, and 2 cases of earlier"
    ):
        report(out)
    for path in out.glob("*.3-of-3.*"):  # known from the report alone
        path.unlink()
    with pytest.raises(UsageError, match=r"Run the other parts \(2\), or delete those of run"):
        report(out)
    assert tables(out) == before
    go(structure, texts, out, Shard(2, 2))
    assert report(out).unfinished == ()
    assert tables(out) == before


def test_an_unsharded_report_is_not_replaced_by_a_part_and_cases_without_a_report_are_known_too(
    structure, texts, tmp_path, whole
):
    before = tables(whole)
    go(structure, texts, whole, Shard(1, 2))
    with pytest.raises(UsageError, match="would be missing from the report"):
        report(whole)
    assert tables(whole) == before
    out = tmp_path / "out"
    for shard in (Shard(1, 3), Shard(2, 3), Shard(3, 3), Shard(1, 20)):
        go(structure, texts, out, shard)
    age(out, "run.*-of-3.json")
    with pytest.raises(UsageError, match="19 of the 20 parts"):
        report(out)
    (out / "run.1-of-20.json").unlink()
    assert report(out).unfinished == ()


def test_the_same_shard_twice_and_a_run_in_one_piece_beside_shards_are_refused(structure, texts, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with exclusive(out, "1-of-2"):
        with pytest.raises(UsageError, match="another medseg run"):
            go(structure, texts, out, Shard(1, 2))
        go(structure, texts, out, Shard(2, 2))
    with exclusive(out, "1-of-1"), pytest.raises(UsageError, match="another medseg run"):
        go(structure, texts, out, Shard(2, 2))


def outcomes(out: Path, count: int) -> BatchResult:
    """A run over so many cases, one of 50 failed, each with a preview."""
    volumes = Volumes((ClassVolume("lesion", 8, 0.5),))
    done = [
        CaseOutcome(f"c{n}", "done", f"c{n}.nii", out / f"c{n}", volumes=volumes, review_priority=float(n % 7))
        for n in range(count)
    ]
    failed = [CaseOutcome(f"f{n}", "failed", f"f{n}.nii", error="truncated") for n in range(count // 50)]
    return BatchResult(out, (*done, *failed), identity=(("model", "toy"),))


def test_a_report_of_many_cases_has_pages_that_open_at_once(tmp_path, monkeypatch):
    (tmp_path / "c1").mkdir()
    Image.new("RGB", (900, 300), "white").save(tmp_path / "c1" / "preview.png")
    for name in range(2, 4000):
        (tmp_path / f"c{name}").mkdir()
        shutil.copyfile(tmp_path / "c1" / "preview.png", tmp_path / f"c{name}" / "preview.png")
    (tmp_path / "report.99.html").write_text("of an earlier report")
    batch_report.write_report(outcomes(tmp_path, 4000))
    pages = sorted(path.name for path in tmp_path.glob("report*.html"))
    assert pages == sorted(["report.html", *(f"report.{n}.html" for n in range(2, 17))])
    texts = {name: (tmp_path / name).read_text() for name in pages}
    assert max(len(text) for text in texts.values()) < 350_000
    shown = [re.findall(r'<section class="card" id="(c\d+)"', texts[name]) for name in pages]
    assert sorted(name for page in shown for name in page) == sorted(f"c{n}" for n in range(4000))
    assert all("data:image" not in text for text in texts.values())
    assert texts["report.html"].count('loading="lazy"') > 200
    assert all(f'href="{name}"' in texts["report.html"] for name in pages if name != "report.html")
    assert all(text.count("<h2") > 2 and "4000</b>segmented" in text for text in texts.values())
    assert [">f7<" in text for text in texts.values()].count(True) == 1
    batch_report.write_report(outcomes(tmp_path, 10))
    assert [path.name for path in tmp_path.glob("report*.html")] == ["report.html"]


def test_many_failures_are_in_pages_too(tmp_path):
    failed = tuple(CaseOutcome(f"f{n}", "failed", f"f{n}.nii", error="truncated") for n in range(3000))
    pages = batch_report.report_pages(BatchResult(tmp_path, failed))
    assert [page.count("<td>truncated</td>") for page in pages.values()] == 12 * [batch_report.A_PAGE]
    assert list(pages)[:2] == ["report.html", "report.2.html"]


def test_run_json_of_a_run_that_is_not_over_has_no_exit_code(tmp_path):
    result = BatchResult(tmp_path, (CaseOutcome("a", "done", "a"),))
    assert run_content(result, {}, "now", 1.0, is_over=False)["exit_code"] is None


def test_a_row_of_a_shard_has_all_there_is_of_a_case():
    """Whoever adds something to the outcome of a case adds it to the row, or a report over shards lacks it."""
    row = shard_files._to_json(CaseOutcome("a", "done", "a.nii"))
    assert set(row) | {"folder"} == {field.name for field in dataclasses.fields(CaseOutcome)}
