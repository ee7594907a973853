"""Cases that annotate some of the classes: stated, shown by files, checked and told."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_files import classes, noise, volume

from medseg.data.audit import audit
from medseg.data.dataset import Dataset, ReferencePart
from medseg.data.description import DatasetDescription
from medseg.data.fingerprint import take_fingerprint
from medseg.data.layouts import read_dataset
from medseg.data.partial_labels import partly_annotated, with_annotated
from medseg.data.plan import make_plan
from medseg.data.plan_text import plan_text
from medseg.errors import ConfigError

LABELS = {"liver": 1, "kidney": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four cases of two sets, each of which annotates its own class."""
    for number, name in enumerate(("lits_1", "lits_2", "kits_1", "kits_2")):
        volume(tmp_path / "images" / f"{name}.nii.gz", noise(seed=number))
        labels = classes(values=(1,) if "lits" in name else (0, 2))
        labels[5, 4, number] = labels.max()  # no two are the same
        volume(tmp_path / "labels" / f"{name}.nii.gz", labels)
    return tmp_path


def annotated(data: Dataset) -> dict[str, object]:
    return {case.case_id: case.annotated for case in data.cases}


def stated(**patterns: tuple[str, ...]) -> DatasetDescription:
    return DatasetDescription(labels=LABELS, annotated=patterns)


def test_patterns_of_names_say_what_cases_annotate_and_the_first_that_fits_counts(folder):
    given = stated(**{"lits_2": ("liver", "kidney"), "lits_*": ("liver",), "k*": ("kidney",)})
    data = read_dataset(folder, given)
    assert annotated(data) == {"lits_1": ("liver",), "lits_2": None, "kits_1": ("kidney",), "kits_2": ("kidney",)}
    assert partly_annotated(data) == {"liver": 2, "kidney": 3}
    assert partly_annotated(data, [case for case in data.cases if case.case_id == "lits_1"]) == {"kidney": 0}


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ({"lits_*": ("spleen",)}, "annotates 'spleen', which is no class"),
        ({"lits_*": ()}, "'lits_\\*' annotates no class"),
        ({"lots_*": ("liver",)}, "no case is called 'lots_\\*'"),
    ],
)
def test_what_cannot_be_is_refused(folder, patterns, message):
    with pytest.raises(ConfigError, match=message):
        read_dataset(folder, stated(**patterns))


def test_a_table_has_a_column_for_it(folder):
    rows = [
        f"{n},images/{n}.nii.gz,labels/{n}.nii.gz,{a}" for n, a in (("lits_1", "liver"), ("kits_1", "liver; kidney"))
    ]
    (folder / "d.csv").write_text("\n".join(["case,CT,label,annotated", *rows]) + "\n")
    (folder / "d.yaml").write_text(json.dumps({"labels": LABELS, "cases": "d.csv"}))
    assert annotated(read_dataset(folder / "d.yaml")) == {"kits_1": None, "lits_1": ("liver",)}
    (folder / "e.yaml").write_text(json.dumps({"labels": LABELS, "cases": "d.csv", "annotated": {"kits*": ["kidney"]}}))
    assert annotated(read_dataset(folder / "e.yaml"))["lits_1"] == ("liver",)


def test_a_class_without_a_mask_of_its_own_counts_as_not_annotated_and_it_is_said(folder):
    plain = read_dataset(folder, DatasetDescription(labels=LABELS))
    parts = (
        ReferencePart(folder / "labels" / "lits_1.nii.gz", 1),
        ReferencePart(folder / "labels" / "kits_1.nii.gz", 2),
    )
    cases = [replace(case, parts=parts if case.case_id == "lits_1" else parts[:1]) for case in plain.cases]
    data = with_annotated(replace(plain, cases=tuple(cases)))
    assert annotated(data) == dict.fromkeys(("kits_1", "kits_2", "lits_2"), ("liver",)) | {"lits_1": None}
    assert data.ambiguous == (
        "3 of 4 cases have no mask or structure for 'kidney', so it counts as not annotated there; where it is absent "
        "instead, state: annotated: {'*': [liver, kidney]}",
    )
    absent = with_annotated(replace(plain, cases=tuple(cases), annotated={"*": ("liver", "kidney")}))
    assert set(annotated(absent).values()) == {None}
    assert absent.ambiguous == ()


def test_the_audit_says_it_and_misses_no_class_where_it_is_not_annotated(folder):
    data = read_dataset(folder, stated(**{"lits_*": ("liver",), "kits_*": ("kidney",)}))
    found = audit(data)
    assert not found.blocked
    (finding,) = [f for f in found.findings if f.kind in ("partial-labels", "rare-class", "missing-class")]
    assert finding.message == (
        "'liver' is annotated in 2 of 4 cases, 'kidney' is annotated in 2 of 4 cases; where it is not, the loss and "
        "measures mask it."
    )
    assert not [f for f in found.findings if f.kind == "separate-classes"]
    text = plan_text(
        make_plan(data, take_fingerprint(data, found.examined)),
        data,
        take_fingerprint(data, found.examined),
        command="x",
    )
    assert "'kidney' is annotated in 2 of 4 cases" in text.replace("\n# ", " ")


def test_classes_that_no_label_holds_together_are_asked_about(folder):
    found = audit(read_dataset(folder, DatasetDescription(labels=LABELS)))
    (finding,) = [f for f in found.findings if f.kind == "separate-classes"]
    assert finding.message == "No label holds both 'kidney' and 'liver', although each is in several."
    volume(folder / "labels" / "lits_2.nii.gz", classes(values=(1, 2)))
    again = audit(read_dataset(folder, DatasetDescription(labels=LABELS)))
    assert not [f for f in again.findings if f.kind == "separate-classes"]


def test_a_class_that_is_there_although_it_is_not_annotated_blocks_its_case(folder):
    volume(folder / "labels" / "lits_2.nii.gz", classes(values=(1, 2)))
    found = audit(read_dataset(folder, stated(**{"lits_*": ("liver",)})))
    assert set(found.blocked) == {"lits_2"}
    assert "holds 'kidney', which this case is said not to annotate" in found.blocked["lits_2"]


def test_numbered_objects_cannot_be_annotated_in_part(tmp_path):
    volume(tmp_path / "images" / "a.nii.gz", noise())
    volume(tmp_path / "instances" / "a.nii.gz", np.arange(120).reshape(6, 5, 4).astype(np.uint8))
    data = read_dataset(tmp_path)
    with pytest.raises(ConfigError, match="cannot be annotated in part"):
        with_annotated(replace(data, annotated={"a": (data.table.classes[0].name,)}))
