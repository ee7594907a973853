"""Readers of a review compared: every figure is that of `evaluate` on the labels they accepted."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from reviewed_results import edited, make_results

from medseg.engine import journal
from medseg.engine.evaluate import evaluate
from medseg.errors import UsageError
from medseg.evaluation.readers import MODEL
from medseg.io.formats import MANUAL, Labeled, write_file
from medseg.io.label_table import write_table
from medseg.io.nifti import write_labels
from medseg.io.read import read_labels
from medseg.review.adjudication import disputes
from medseg.review.opening import open_store
from medseg.review.reader_agreement import agreement
from medseg.review.readings import readings_of
from medseg.types import LabelClass, LabelMap, LabelTable, Source
from medseg.types.run import CaseOutcome

CASES = ("scan_0", "scan_1", "scan_2", "scan_3")


def drawn(store, case: str, reader: str) -> LabelMap:
    """The model's labels, changed in a way that depends on reader and case."""
    labels = store.model_labels(case)
    array = labels.array.copy()
    if reader == "Ada":
        array[1:3, 2:6, 4] = 1
    else:
        array[5:7, 2 : 4 + CASES.index(case), 1:4] = 1
        array[5, 5, 5] = 0 if case == "scan_1" else 300
    return LabelMap(array, labels.geometry, labels.table)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Two blinded readers of four cases; Bob accepts one as it is and rejects one."""
    out = make_results(tmp_path_factory.mktemp("read"), len(CASES))
    with open_store(out, create=True) as store:
        for who in ("Ada", "Bob"):
            for case in CASES:
                if (who, case) == ("Bob", "scan_2"):
                    store.verdict(case, kind="accept", revision=0, who=who, reader=who)
                    continue
                if (who, case) == ("Bob", "scan_3"):
                    store.verdict(case, kind="reject", revision=0, who=who, reader=who, reason="bad scan")
                    continue
                saved = store.save_labels(case, drawn(store, case, who), who=who, expected=0, origin="test", reader=who)
                store.verdict(case, kind="accept", revision=saved.number, who=who, reader=who)
    return out


@pytest.fixture(scope="module")
def found(out, tmp_path_factory):
    place = tmp_path_factory.mktemp("agreement")
    return agreement(out, place, n_bootstrap=100, consensus="staple"), place


def test_the_labels_compared_are_those_each_reader_accepted(out):
    with open_store(out) as store:
        readings = {(r.reader, r.case_id): r for r in readings_of(store, ("Ada", "Bob"))}
        assert np.array_equal(readings["Ada", "scan_1"].labels().array, drawn(store, "scan_1", "Ada").array)
        assert np.array_equal(readings["Bob", "scan_2"].labels().array, store.model_labels("scan_2").array)
    assert readings["Bob", "scan_3"].labels is None
    assert [readings["Bob", case].verdict for case in CASES] == ["corrected", "corrected", "accepted", "rejected"]
    assert {reader for reader, _ in readings} == {"Ada", "Bob", MODEL}


def test_figures_are_those_of_evaluate_on_the_same_labels(out, found, tmp_path):
    with open_store(out) as store:
        for who in ("Ada", "Bob", MODEL):
            for case in CASES[:3]:
                labels = store.model_labels(case) if who == MODEL else None
                if labels is None:
                    labels = store.labels(case, store.case(case, who).verdict.revision)
                (tmp_path / who).mkdir(exist_ok=True)
                write_file(Labeled(labels, Source("array"), MANUAL), tmp_path / who / f"{case}.nii.gz")
    rows = [row for row in found[0].rows if row.case_id != "scan_3"]
    for first, second in (("Ada", "Bob"), ("Ada", MODEL), ("Bob", MODEL)):
        expected = {
            (row.case_id, row.class_name, row.metric): row.value
            for row in evaluate(tmp_path / second, tmp_path / first, settings=["n_bootstrap=100"]).rows
        }
        own = {(r.case_id, r.class_name, r.metric): r.value for r in rows if (r.first, r.second) == (first, second)}
        assert len(own) == 3 * 3 * 6
        assert own == pytest.approx({key: expected[key] for key in own}, nan_ok=True, rel=1e-12)


def test_verdicts_and_cases_are_counted(found):
    pair = found[0].summary["pairs"][0]
    assert (pair["first"], pair["second"], pair["cases"]) == ("Ada", "Bob", 3)
    assert pair["verdicts"]["differ"] == ["scan_2", "scan_3"]
    assert found[0].summary["readers"]["Bob"] == {
        "cases": 4, "with_labels": 3, "accepted": 1, "corrected": 2, "rejected": 1,
    }  # fmt: skip
    assert found[0].exit_code == 0
    assert found[0].summary["not_independent"] == {}


def test_the_consensus_is_written_for_evaluate(out, found):
    files = sorted(path.name for path in (found[1] / "consensus").glob("*.nii.gz"))
    assert files == [f"{case}.nii.gz" for case in CASES[:3]]
    with open_store(out) as store:
        made, model = read_labels(found[1] / "consensus/scan_2.nii.gz"), store.model_labels("scan_2")
    assert made.geometry.matches(model.geometry)
    assert [entry.name for entry in made.table] == ["liver", "lesion", "cyst"]
    summary = json.loads((found[1] / "summary.json").read_text())
    assert summary["consensus"]["cases"]["scan_0"]["readers"] == ["Ada", "Bob"]
    assert "Consensus (staple)" in (found[1] / "report.html").read_text()


def test_verdicts_that_one_reader_did_not_give_are_no_agreement(tmp_path):
    out = make_results(tmp_path, 2)
    with open_store(out, create=True) as store:
        for case in ("scan_0", "scan_1"):
            for who, voxel in (("Ada", (0, 0, 1)), ("Bob", (0, 0, 2))):
                labels = edited(store.model_labels(case), voxel, 300)
                expected = store.case(case, who).revision
                saved = store.save_labels(case, labels, who=who, expected=expected, origin="test", reader=who)
                if who == "Ada" or case == "scan_1":
                    store.verdict(case, kind="accept", revision=saved.number, who=who, reader=who)
    agreement(out, tmp_path / "agreement", n_bootstrap=100)
    lines = [line.split(",") for line in (tmp_path / "agreement/adjudication.csv").read_text().splitlines()[1:]]
    assert {line[1]: ",".join(line[4:]) for line in lines} == {"scan_0": "not from both", "scan_1": "agree"}


def test_the_worklist_of_a_third_person_names_no_reader(found):
    text = (found[1] / "adjudication.csv").read_text()
    assert not {"Ada", "Bob"} & set(text.replace(",", " ").split())
    rows = list(csv.DictReader(text.splitlines()))
    assert [float(row["dice"]) for row in rows] == sorted(float(row["dice"]) for row in rows)
    assert {row["case_id"] for row in rows} == set(CASES)
    assert next(row for row in rows if row["case_id"] == "scan_3") == {
        "place": "1", "case_id": "scan_3", "class": "", "dice": "0.0000", "verdicts": "differ",
    }  # fmt: skip
    assert next(row for row in rows if row["case_id"] == "scan_1")["class"] == "lesion"


def test_a_and_b_are_the_readers_in_an_order_of_the_case_alone(found):
    listed = disputes(found[0], ("Bob", "Ada"))
    assert listed == disputes(found[0], ("Ada", "Bob"))
    assert all({one.a, one.b} == {"Ada", "Bob"} for one in listed)
    assert {one.case_id for one in disputes(found[0], ("Ada", "Bob"), below=0)} == {"scan_2", "scan_3"}


def test_a_reader_who_went_on_from_anothers_labels_is_named(tmp_path):
    out = make_results(tmp_path, 1)
    with open_store(out, create=True) as store:
        labels = drawn(store, "scan_0", "Ada")
        store.save_labels("scan_0", labels, who="Ada", expected=0, origin="test")
        store.save_labels("scan_0", edited(labels, (0, 0, 1), 1), who="Bob", expected=1, origin="test")
    found = agreement(out, tmp_path / "to", n_bootstrap=100)
    assert found.summary["not_independent"] == {"Bob": ["scan_0"]}
    assert "started from another reader" in (tmp_path / "to/report.html").read_text()


def test_one_reader_is_compared_with_the_model_and_an_unknown_one_refused(out, tmp_path):
    found = agreement(out, tmp_path / "one", reviewers="Bob", n_bootstrap=100)
    assert [(pair["first"], pair["second"]) for pair in found.summary["pairs"]] == [("Bob", MODEL)]
    assert not (tmp_path / "one/adjudication.csv").exists()
    with pytest.raises(UsageError, match="They are Ada, Bob"):
        agreement(out, tmp_path / "none", reviewers=["Bop"])
    with pytest.raises(UsageError, match="nothing was reviewed"):
        agreement(tmp_path, tmp_path / "none")


def test_classes_are_compared_by_name_where_a_new_model_numbers_them_otherwise(tmp_path):
    out = make_results(tmp_path, 1)
    with open_store(out, create=True) as store:
        first = drawn(store, "scan_0", "Ada")
        store.save_labels("scan_0", first, who="Ada", expected=0, origin="test", reader="Ada")
    swapped = LabelTable((LabelClass(1, "lesion"), LabelClass(300, "liver"), LabelClass(65535, "cyst")))
    turned = np.select([first.array == 1, first.array == 300], [300, 1], first.array.astype(np.int64)).astype(np.uint16)
    folder = out / "scan_0"
    digest = journal.read_status(folder).content["input_sha256"]
    write_labels(LabelMap(turned, first.geometry, swapped), folder / "labels.nii.gz")
    write_table(swapped, folder / "labels.tsv")
    journal.finish(folder, "key", digest, CaseOutcome("scan_0", "done", "scan_0.nii.gz", folder))
    found = agreement(out, tmp_path / "to", n_bootstrap=100)
    dice = {row.class_name: row.value for row in found.rows if row.metric == "dice"}
    assert dice == {"liver": 1, "lesion": 1, "cyst": 1}
