import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg.draw.page import small_url
from medseg.engine.batch_report import render_report, table_of_cases
from medseg.engine.outcomes import explained, record_failure
from medseg.errors import InputError, NotForThisModel, page_of
from medseg.io.measurements import table_of_measurements
from medseg.types import Skipped
from medseg.types.run import BatchResult, CaseOutcome, ClassVolume, Volumes

EVIL = "<script>alert(1)</script>"


def result(out: Path) -> BatchResult:
    volumes = Volumes((ClassVolume("liver, left", 10, 1.5), ClassVolume("spleen", 0, 0.0)))
    warned = {"warnings": ("touches the edge",), "seconds": 3.2}
    outcomes = (
        CaseOutcome("a", "done", "a.nii.gz", out / "a", volumes=volumes, **warned),
        CaseOutcome("b", "current", "b.nii.gz", out / "b", volumes=volumes),
        CaseOutcome("c", "failed", EVIL, out / "c", error="is truncated", fix="Copy it again."),
    )
    return BatchResult(out, outcomes, (Skipped(out / "notes.txt", "is text"),), (("model", "liver 1 (abc)"),))


def rows_of(batch: BatchResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_of_cases(batch))))


def test_the_table_is_csv_whatever_the_names_and_hides_when_it_was_done(tmp_path):
    rows = rows_of(result(tmp_path))
    assert [row["state"] for row in rows] == ["done", "done", "failed"]
    assert rows[0]["liver, left.volume_ml"] == "1.5"
    assert rows[2]["liver, left.volume_ml"] == ""
    assert rows[2]["fix"] == "Copy it again."


def test_the_page_names_failures_with_their_fix_and_escapes_everything(tmp_path):
    page = render_report(result(tmp_path))
    assert "is truncated" in page
    assert "Copy it again." in page
    assert "touches the edge" in page
    assert EVIL not in page
    assert "not a medical device" in page


def test_the_model_stands_on_top_with_whom_it_was_trained_on_and_its_limits(tmp_path):
    card = {
        "title": "Livers in CT", "name": "liver", "version": "2", "data": "Adults of one center.", "trained_cases": 7,
        "limits": ["No children.", EVIL], "dice": {"liver": 0.91234, "spleen": None}, "n_cases": 1, "split": "fold 0",
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps({"models": [card]}))
    page = render_report(result(tmp_path))
    top = page[: page.index('class="counts"')]
    for text in (
        "Livers in CT",
        "liver 0.912, spleen –; 1 case (fold 0)",
        "7 cases. Adults of one center.",
        "No children.",
    ):
        assert text in top
    assert EVIL not in page


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", '{"models": 3}', '{"models": [{"title": "x"}]}', '{"models": [null]}']
)
def test_a_record_that_says_nothing_of_the_model_is_no_error(tmp_path, record):
    (tmp_path / "run.json").write_text(record)
    assert 'class="model"' not in render_report(result(tmp_path))


def test_previews_are_embedded_up_to_a_number_and_linked_beyond(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("RGB", (948, 360), "gray").save(tmp_path / name / "preview.png")
    page = render_report(result(tmp_path), previews=1)
    assert page.count("data:image/webp;base64,") == 1
    assert 'src="b/preview.png"' in page
    assert page.count('<a href="a/preview.png">') == page.count('<a href="b/preview.png">') == 1


def test_twenty_cases_make_less_than_400_kb(tmp_path):
    """Also where a preview is as full of detail as it can be, or no image at all."""
    random, outcomes = np.random.default_rng(0), []
    for n in range(20):
        outcome = replace(
            result(tmp_path).outcomes[0], case_id=f"case{n:03}", warnings=("a warning of some words",) * 2
        )
        (tmp_path / outcome.case_id).mkdir()
        rough = random.integers(0, 255, (18, 47, 3) if n > 1 else (360, 948, 3), np.uint8)
        Image.fromarray(rough).resize((948, 360)).save(tmp_path / outcome.case_id / "preview.png")
        outcomes.append(outcome)
    (tmp_path / "case000" / "preview.png").write_bytes(b"no image")
    page = render_report(BatchResult(tmp_path, tuple(outcomes)))
    assert page.count("data:image/webp;base64,") == 18
    assert 'src="case001/preview.png"' in page
    assert 'src="case000/preview.png"' in page
    assert len(page) < 2e6 * 20 / 100


def test_what_cannot_be_made_small_enough_is_linked():
    noise = np.random.default_rng(0).integers(0, 255, (2000, 720, 3), np.uint8)
    assert small_url(Image.fromarray(noise)) is None


def test_the_page_is_the_same_whenever_it_is_made(tmp_path):
    assert render_report(result(tmp_path)) == render_report(result(tmp_path))


def test_objects_are_counted_where_a_model_makes_them(tmp_path):
    cells = Volumes((ClassVolume("cell", 40, 0.04, 7), ClassVolume("fat", 9, 0.009)))
    none = Volumes((ClassVolume("cell", 0, 0.0, 0), ClassVolume("fat", 0, 0.0)))
    outcomes = (CaseOutcome(n, "done", f"{n}.png", tmp_path / n, volumes=v) for n, v in (("a", cells), ("b", none)))
    counted = BatchResult(tmp_path, tuple(outcomes))
    rows = rows_of(counted)
    assert [row["cell.objects"] for row in rows] == ["7", "0"]
    assert "fat.objects" not in rows[0]
    assert "cell, objects" in render_report(counted)
    assert ".objects" not in table_of_cases(result(tmp_path))
    lines = ["class,voxels,volume_ml,objects", "cell,40,0.04,7", "fat,9,0.009,"]
    assert table_of_measurements(cells).splitlines() == lines


def test_a_withheld_case_has_its_reason_and_counts_as_part_of_the_batch_not_done(tmp_path):
    withheld = CaseOutcome("x", "withheld", "x.nii.gz", tmp_path / "x", error="is a CT", fix="Choose a CT model.")
    done = result(tmp_path).outcomes[0]
    assert BatchResult(tmp_path, (withheld,)).exit_code == 3
    batch = BatchResult(tmp_path, (done, withheld))
    assert batch.exit_code == 3
    [_, row] = rows_of(batch)
    assert (row["state"], row["error"], row["fix"]) == ("withheld", "is a CT", "Choose a CT model.")
    page = render_report(batch)
    assert "Failed or withheld" in page
    assert "Choose a CT model." in page


def test_the_page_is_sorted_by_review_priority_and_says_so(tmp_path):
    first, second = result(tmp_path).outcomes[:2]
    page = render_report(BatchResult(tmp_path, (first, replace(second, review_priority=2.5))))
    assert "Sorted by review priority: cases with warnings first." in page
    assert page.index('id="b"') < page.index('id="a"')


def test_a_failed_case_has_the_code_of_its_kind_of_error_in_the_page_and_in_its_record(tmp_path):
    failed = explained(CaseOutcome("c", "pending", "c.nii.gz", tmp_path / "c"), InputError("is truncated"))
    assert failed.code == "E-input"
    withheld = explained(CaseOutcome("d", "pending", "d.nii.gz"), NotForThisModel("is a knee"))
    assert (withheld.state, withheld.code) == ("withheld", "E-not-for-this-model")
    page = render_report(BatchResult(tmp_path, (failed,)))
    assert f'[<a href="{page_of("E-input")}" rel="noreferrer">E-input</a>]' in page
    record_failure(failed)
    assert json.loads((tmp_path / "c" / "status.json").read_text())["code"] == "E-input"
