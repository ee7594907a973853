"""Readers compared: the figures are those of `evaluate`, and what a pair shares is all that counts."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from medseg.errors import InputError
from medseg.evaluation.intraclass import intraclass
from medseg.evaluation.kappa import cohen_kappa
from medseg.evaluation.readers import MODEL, Reading, compare_readers
from medseg.evaluation.readers_report import plain_agreement, write_agreement
from medseg.io.formats import MANUAL, Labeled, write_file
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, Source

TABLE = LabelTable((LabelClass(1, "liver"), LabelClass(300, "lesion")))
GEOMETRY = Geometry(np.diag([1, 1, 2, 1.0]), (20, 20, 10))
CASES = [f"case{number}" for number in range(6)]


def drawn(reader: str, case: str) -> LabelMap:
    """A liver whose width depends on reader and case, and in some cases a lesion."""
    width = {"ann": 8, "bob": 9, "cem": 7, MODEL: 8}[reader] + CASES.index(case) % 4
    array = np.zeros(GEOMETRY.shape, np.uint16)
    array[3:12, 3 : 3 + width, 2:8] = 1
    if CASES.index(case) % 2 == 0 or reader == "bob":
        array[5:8, 5:8, 3:6] = 300
    return LabelMap(array, GEOMETRY, TABLE)


def reading(reader: str, case: str, verdict: str | None = "corrected") -> Reading:
    return Reading(reader, case, lambda: drawn(reader, case), verdict if reader != MODEL else None)


@pytest.fixture(scope="module")
def three():
    return compare_readers(
        [reading(name, case) for case in CASES for name in ("ann", "bob", "cem", MODEL)], n_bootstrap=200
    )


def test_figures_are_those_of_evaluate(three, tmp_path):
    from medseg.engine.evaluate import evaluate

    for name in ("ann", "bob"):
        for case in CASES:
            (tmp_path / name).mkdir(exist_ok=True)
            write_file(Labeled(drawn(name, case), Source("array"), MANUAL), tmp_path / name / f"{case}.nii.gz")
    measured = evaluate(tmp_path / "bob", tmp_path / "ann", settings=["n_bootstrap=200"])
    expected = {(row.case_id, row.class_name, row.metric): row.value for row in measured.rows}
    own = {
        (row.case_id, row.class_name, row.metric): row.value
        for row in three.rows
        if (row.first, row.second) == ("ann", "bob")
    }
    assert own == pytest.approx({key: expected[key] for key in own}, nan_ok=True, rel=1e-12)
    assert {key[2] for key in own} == {"dice", "nsd@1mm", "nsd@2mm", "hd95", "assd", "volume_difference_ml"}
    pair = three.summary["pairs"][0]
    for name, figures in pair["classes"].items():
        for metric, node in figures.items():
            twin = measured.summary["classes"][name][metric]
            assert [node["mean"], *node["ci95"]] == pytest.approx([twin["mean"], *twin["ci95"]], nan_ok=True)


def test_every_pair_once_with_the_model_last(three):
    pairs = [(pair["first"], pair["second"]) for pair in three.summary["pairs"]]
    assert pairs == [("ann", "bob"), ("ann", "cem"), ("ann", MODEL), ("bob", "cem"), ("bob", MODEL), ("cem", MODEL)]
    assert all(pair["cases"] == len(CASES) for pair in three.summary["pairs"])
    assert three.exit_code == 0


def test_volumes_are_compared_by_bias_limits_and_correlation(three):
    volume = three.summary["pairs"][0]["volumes"]["liver"]
    sizes = np.array([[9 * 6 * (w + k % 4) * 2 / 1000 for w in (8, 9)] for k in range(6)])
    lesion = np.array([[27 * 2 / 1000 * (k % 2 == 0), 27 * 2 / 1000] for k in range(6)])
    gaps = (sizes - lesion)[:, 1] - (sizes - lesion)[:, 0]
    assert volume["bias_ml"] == pytest.approx(gaps.mean())
    assert volume["limits_ml"] == pytest.approx(
        [gaps.mean() - 1.96 * gaps.std(ddof=1), gaps.mean() + 1.96 * gaps.std(ddof=1)]
    )
    assert volume["icc_2_1"] == pytest.approx(intraclass(sizes - lesion).agreement)
    low, high = volume["icc_2_1_ci95"]
    assert low <= volume["icc_2_1"] <= high
    together = three.summary["all_readers"]
    assert together["readers"] == ["ann", "bob", "cem"]
    assert together["volumes"]["liver"]["cases"] == len(CASES)


def test_kappa_is_over_the_cases_both_judged():
    verdicts = {"ann": "aacra", "bob": "acrr"}
    words = {"a": "accepted", "c": "corrected", "r": "rejected"}
    found = compare_readers(
        [
            Reading(name, case, None, words[letter])
            for name, letters in verdicts.items()
            for case, letter in zip(CASES, letters, strict=False)
        ],
        n_bootstrap=100,
    )
    (pair,) = found.summary["pairs"]
    assert (pair["verdicts"]["cases"], pair["verdicts"]["agreed"]) == (4, 2)
    assert pair["verdicts"]["kappa"] == pytest.approx(cohen_kappa([[1, 1, 0], [0, 0, 1], [0, 0, 1]]))
    assert pair["verdicts"]["differ"] == ["case1", "case2"]
    assert found.exit_code == 0
    assert pair["classes"] == {}


def test_a_case_only_one_read_is_in_no_pair_and_one_that_breaks_stops_no_other():
    def broken() -> LabelMap:
        raise InputError("the file is truncated", where="x.nii.gz", fix="Copy it again.")

    readings = [reading("ann", case) for case in CASES] + [reading("bob", case) for case in CASES[1:]]
    readings[2] = replace(readings[2], labels=broken)
    moved = LabelMap(drawn("bob", CASES[3]).array, Geometry(np.eye(4), GEOMETRY.shape), TABLE)
    readings = [replace(r, labels=lambda: moved) if (r.reader, r.case_id) == ("bob", CASES[3]) else r for r in readings]
    found = compare_readers(readings, n_bootstrap=100)
    assert set(found.failed) == {CASES[2], CASES[3]}
    assert found.summary["pairs"][0]["cases"] == 3
    assert found.exit_code == 3


def test_the_bootstrap_draws_patients():
    readings = [reading(name, case) for case in CASES for name in ("ann", "bob")]
    one = compare_readers(readings, patients=dict.fromkeys(CASES, "p"), n_bootstrap=100)
    assert math.isnan(one.summary["pairs"][0]["classes"]["liver"]["dice"]["ci95"][0])


def test_nothing_in_common_is_exit_code_4():
    assert compare_readers([reading("ann", CASES[0])], n_bootstrap=100).exit_code == 4
    assert compare_readers([], n_bootstrap=100).exit_code == 4


def test_what_is_written_is_what_was_found(three, tmp_path):
    write_agreement(three, tmp_path)
    with (tmp_path / "agreement.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(three.rows)
    assert {row["second"] for row in rows} == {"bob", "cem", MODEL}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["pairs"][0]["classes"]["liver"]["dice"]["mean"] == pytest.approx(
        np.mean([row.value for row in three.rows if row[:2] == ("ann", "bob") and row[3:5] == ("liver", "dice")])
    )
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 12
    for text in ("ann and bob", "ICC(2,1)", "kappa", "All readers: ann, bob, cem"):
        assert text in page
    assert "ann and bob; cases with labels of both: 6" in plain_agreement(three)


def test_names_of_readers_and_classes_are_escaped(tmp_path):
    name = "<b>ann</b>"
    readings = [replace(reading("ann", case), reader=name) for case in CASES[:2]]
    found = compare_readers([*readings, *(reading("bob", case) for case in CASES[:2])], n_bootstrap=100)
    write_agreement(found, tmp_path)
    assert name not in (tmp_path / "report.html").read_text()
