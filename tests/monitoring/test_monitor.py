"""A scanner that changes is found, one that does not is not; what is left holds nothing that names anybody."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace

import pytest
from reviewed_results import make_results
from scanner_history import MODEL, history, write_results

import medseg
from medseg.cli.app import run
from medseg.engine.run_files import add_seconds
from medseg.errors import UsageError
from medseg.models.package import load_package
from medseg.monitoring.card_reference import card_shifts
from medseg.monitoring.history import CaseRecord
from medseg.monitoring.monitor import look_at, monitor
from medseg.review.opening import open_store


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    root = tmp_path_factory.mktemp("changed")
    results = write_results(root / "results", history(120, change_at=80, volume=0.7))
    return medseg.monitor(results, root / "out"), root / "out"


def test_another_scanner_is_found_and_where(changed):
    found, _ = changed
    assert [chart.name for chart in found.changed] == ["liver.volume_ml"]
    assert abs(found.changed[0].since - 81) <= 5
    assert found.exit_code == 3
    before, since = found.changed[0].medians
    assert since / before == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_scanner_raises_no_alarm(seed):
    found = look_at(history(120, seed=seed), 50)
    assert found.exit_code == 0
    assert len(found.charts) >= 10


def test_intensities_and_scanners_are_followed():
    records = history(120, change_at=80, contrast=1.5)
    records = [replace(one, texts={"scanner": "Two"}) if n >= 80 else one for n, one in enumerate(records)]
    found = look_at(records, 50)
    assert {chart.name for chart in found.changed} >= {"intensity_p50", "intensity_p95"}
    assert found.scanners == {"One": (50, 30), "Two": (0, 40)}


def test_cases_of_another_model_are_not_compared():
    old = [replace(one, model="organ 0 (0)") for one in history(60, seed=1, volume=3.0)]
    found = look_at([*old, *history(80)], 50)
    assert (len(found.records), found.exit_code) == (80, 0)
    assert "60 cases of other models are not compared" in found.notes[0]


def test_of_two_models_in_one_folder_each_is_compared_with_itself(tmp_path):
    """As a node leaves them: no run.json, cases of both in turn, of which one model's volumes change."""
    other = "tumor 3 (ba9876543210)"
    mine, theirs = history(120, change_at=80, volume=0.6), history(120, seed=1)
    mixed = [one for pair in zip(mine, theirs, strict=True) for one in pair]
    renamed = [replace(one, case_id=f"case-{n}") for n, one in enumerate(mixed)]
    out = write_results(tmp_path / "node", renamed)
    (out / "run.json").unlink()
    for number, place in enumerate(sorted(out.iterdir(), key=lambda place: int(place.name[5:]))):
        status = json.loads((place / "status.json").read_text()) | {"model": other if number % 2 else MODEL}
        changed = (place / "status.json").stat().st_mtime
        (place / "status.json").write_text(json.dumps(status))
        os.utime(place / "status.json", (changed, changed))
    newest = monitor(out, tmp_path / "a", no_scans=True)
    assert (newest.exit_code, newest.n_baseline, len(newest.records)) == (0, 50, 120)
    assert "120 of organ 1" in newest.notes[0]
    first = monitor(out, tmp_path / "b", no_scans=True, cases_of="organ")
    assert [chart.name for chart in first.changed] == ["liver.volume_ml"]
    assert len((tmp_path / "b" / "history.csv").read_text().splitlines()) == 241  # all are in the table
    with pytest.raises(UsageError, match="no case is of a model 'liver'") as error:
        monitor(out, tmp_path / "c", no_scans=True, cases_of="liver")
    assert f"{MODEL}, {other}" in error.value.fix
    with pytest.raises(UsageError, match="no case of the reference is of"):
        monitor(out, tmp_path / "d", no_scans=True, reference=write_results(tmp_path / "old", history(30)))


def test_too_few_cases_say_nothing():
    found = look_at(history(25), 50)
    assert found.exit_code == 4
    assert "too few for a chart" in found.notes[0]


def test_more_rejected_cases_are_seen():
    records = [replace(one, verdict="rejected") if n >= 90 else replace(one, verdict="accepted")
               for n, one in enumerate(history(120))]  # fmt: skip
    assert "rejected in the review" in {chart.name for chart in look_at(records, 50).changed}


def test_what_is_left(changed):
    found, out = changed
    rows = list(csv.DictReader((out / "history.csv").open()))
    assert len(rows) == 120
    assert [int(row["number"]) for row in rows] == list(range(1, 121))
    content = json.loads((out / "monitor.json").read_text())
    assert content["exit_code"] == 3
    page = (out / "monitor.html").read_text()
    assert page.count("<svg") == len(found.charts)
    assert "from case" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "2023" not in page  # no day of any case


def test_volumes_are_compared_with_those_trained_on():
    card = load_package("hippocampus").card
    low, high = card.validation.volume_range_ml["anterior hippocampus"]
    inside = {"left anterior hippocampus.volume_ml": {n: low + (high - low) * (n + 1) / 42 for n in range(40)}}
    beyond = {"left anterior hippocampus.volume_ml": dict.fromkeys(range(40), high * 1.2)}
    (usual,), (odd,) = card_shifts(card, inside), card_shifts(card, beyond)
    assert (usual.outside, odd.outside) == (0, 40)
    assert usual.p > 0.5
    assert odd.p < 1e-6
    quantiles = tuple(low + (high - low) * n / 20 for n in range(21))
    validation = card.validation.model_copy(update={"volume_quantiles_ml": {"anterior hippocampus": quantiles}})
    (even,) = card_shifts(card.model_copy(update={"validation": validation}), inside)
    assert even.distance < 0.05
    (narrow,) = card_shifts(
        card.model_copy(update={"validation": validation}),
        {"left anterior hippocampus.volume_ml": {n: low + (high - low) * (0.9 + n / 1000) for n in range(40)}},
    )
    assert narrow.outside == 0
    assert narrow.distance > 0.8
    assert narrow.p < 1e-6


def test_real_results_with_scans_and_verdicts(tmp_path):
    out = make_results(tmp_path, 3)
    with open_store(out, create=True) as store:
        store.verdict("scan_0", kind="accept", who="A. Reader", revision=0)
        store.verdict("scan_1", kind="reject", who="A. Reader", revision=0, reason="boundary")
    found = medseg.monitor(out, tmp_path / "monitoring")
    rows = {row["case_id"]: row for row in csv.DictReader((tmp_path / "monitoring" / "history.csv").open())}
    assert [rows[f"scan_{n}"]["verdict"] for n in range(3)] == ["accepted", "rejected", ""]
    assert all(float(row["intensity_p95"]) > float(row["intensity_p50"]) for row in rows.values())
    assert float(rows["scan_0"]["spacing_in_plane_mm"]) > 0
    assert found.exit_code == 4
    assert "A. Reader" not in (tmp_path / "monitoring" / "history.csv").read_text()


def test_scans_are_read_once(tmp_path, monkeypatch):
    out = make_results(tmp_path, 2)
    medseg.monitor(out, tmp_path / "monitoring")
    before = (tmp_path / "monitoring" / "history.csv").read_text()
    monkeypatch.setattr("medseg.monitoring.gather.scan_facts", None)  # calling it would fail
    medseg.monitor(out, tmp_path / "monitoring")
    assert (tmp_path / "monitoring" / "history.csv").read_text() == before


def test_wrong_use_is_answered(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(medseg.UsageError, match=r"holds no results of `medseg predict`"):
        medseg.monitor(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(medseg.ConfigError, match="baseline: must be at least 20"):
        medseg.monitor(tmp_path / "empty", tmp_path / "out", baseline=5)


def test_the_command_line_exits_3_where_something_changed(changed, tmp_path, capsys):
    _, out = changed
    results = out.parent / "results"
    assert run(["monitor", str(results), "-o", str(tmp_path), "--no-scans", "--quiet"]) == 3
    assert "Changed: liver: volume, ml, from case" in capsys.readouterr().out


def test_a_folder_as_the_reference(changed, tmp_path):
    _, out = changed
    later = write_results(tmp_path / "later", history(40, seed=9))
    found = medseg.monitor(later, tmp_path / "out", reference=out.parent / "results", no_scans=True)
    assert (found.n_baseline, len(found.records)) == (120, 160)


def test_a_record_says_nothing_of_a_day():
    assert not {name for name in CaseRecord.__dataclass_fields__ if "date" in name or "day" in name or "time" in name}


def test_what_cannot_be_read_is_named_and_a_folder_given_twice_counts_once(tmp_path):
    out = write_results(tmp_path / "results", history(70))
    (out / "case-1" / "status.json").write_text('{"format": ')
    (out / "case-2" / "status.json").unlink()
    (out / "case-3" / "measurements.csv").write_text("")
    (out / "case-4" / "measurements.csv").write_bytes(b"class,n_components\n\xff\xfe,1\n")
    (out / "case-5" / "measurements.csv").write_text("class,boundary_entropy\nliver,inf\n")
    lost = json.loads((out / "case-6" / "status.json").read_text()) | {"outputs": {"measurements.csv": "0"}}
    (out / "case-6" / "status.json").write_text(json.dumps(lost))
    (out / "case-6" / "measurements.csv").unlink()
    found = monitor([out, out], tmp_path / "look", no_scans=True)
    assert len(found.records) == 68
    text = "\n".join(found.notes)
    assert "results was given more than once" in text
    skipped, incomplete = (note for note in found.notes if "case-" in note)
    assert "2 cases skipped" in skipped
    assert {name for name in ("case-1", "case-2", "case-3") if name in skipped} == {"case-1", "case-2"}
    assert "of 4 cases: case-3 (measurements.csv cannot be read), case-4 (measurements.csv cannot" in incomplete
    assert "case-5 (not a finite number: liver.boundary_entropy)" in incomplete
    assert "case-6 (measurements.csv is missing)" in incomplete
    assert "2 cases skipped" in (tmp_path / "look" / "monitor.html").read_text()


def test_a_new_version_with_few_cases_does_not_hide_what_the_older_shows(tmp_path):
    old = write_results(tmp_path / "old", history(120, change_at=80, volume=0.6))
    new = write_results(tmp_path / "new", history(12, seed=1))
    run_file = new / "run.json"
    run_file.write_text(run_file.read_text().replace(MODEL, "organ 2 (000000000000)"))
    found = monitor([old, new], tmp_path / "a", no_scans=True)
    assert (found.exit_code, len(found.records)) == (3, 120)
    assert "organ 2 (000000000000) has 12 cases, too few for a chart yet" in found.notes[0]
    assert monitor([old, new], tmp_path / "b", no_scans=True, cases_of="organ").exit_code == 3
    assert monitor([old, new], tmp_path / "c", no_scans=True, cases_of="organ 2").exit_code == 4
    assert monitor([old, new], tmp_path / "d", no_scans=True, cases_of="organ 1").exit_code == 3


def test_seconds_of_a_node_are_followed(tmp_path):
    out = write_results(tmp_path / "node", history(70))
    (out / "run.json").unlink()
    for number in range(70):
        add_seconds(out, f"case-{number}", 5 + number % 3)
    add_seconds(out, "case-1", 9)
    with (out / "seconds.csv").open("a") as stream:
        stream.write("case-2,1234.5")  # cut by a stop
    found = monitor(out, tmp_path / "look", no_scans=True)
    assert "seconds" in {chart.name for chart in found.charts}
    assert [one.figures["seconds"] for one in found.records[:3]] == [5, 9, 7]
