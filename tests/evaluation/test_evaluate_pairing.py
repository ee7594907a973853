import itertools
import json

import numpy as np
import objects_for_tests
import pytest

from medseg.errors import GeometryMismatch, InputError, UsageError
from medseg.evaluation.files.case_table import read_table
from medseg.evaluation.files.classes import adopt, agree, class_values, named
from medseg.evaluation.files.label_files import class_names, find_labels
from medseg.evaluation.files.pairing import pair_cases
from medseg.evaluation.metrics.grid import axis_move, on_grid_of
from medseg.types import LabelClass, LabelTable


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def ids(root):
    return {item.case_id: item.path.relative_to(root).as_posix() for item in find_labels(root)}


def test_flat_folder(tmp_path):
    make(tmp_path, "a.nii.gz", "b.seg.nrrd", "c.mha", "d.png", "notes.txt", "._a.nii.gz", "dataset.json", "plans.json")
    assert ids(tmp_path) == {"a": "a.nii.gz", "b": "b.seg.nrrd", "c": "c.mha", "d": "d.png"}


def test_output_of_predict(tmp_path):
    make(tmp_path, "x/labels.nii.gz", "x/labels.seg.dcm", "x/instances.nii.gz", "x/preview.png", "y/labels.nii.gz")
    make(tmp_path, "cases.csv", "report.html")
    assert ids(tmp_path) == {"x": "x/labels.nii.gz", "y": "y/labels.nii.gz"}
    instances = {f.case_id: f.instances and f.instances.name for f in find_labels(tmp_path)}
    assert instances == {"x": "instances.nii.gz", "y": None}


def test_a_table_that_is_of_other_cases_is_refused_and_cases_it_lacks_are_named(tmp_path):
    made, wanted = (make(tmp_path / side, "a.nii.gz", "b.nii.gz") for side in ("made", "wanted"))
    table = tmp_path / "table.csv"
    table.write_text("case_id,patient\nx,P1\ny,P1\n")
    with pytest.raises(InputError, match="the table names none of the cases that are measured: a, b"):
        pair_cases(made, wanted, read_table(table))
    table.write_text("case_id,patient\na,P1\ny,P1\n")
    assert pair_cases(made, wanted, read_table(table)).not_in_table == ("b",)
    table.write_text("case_id,patient\na,P1\nb,P1\n")
    assert pair_cases(made, wanted, read_table(table)).not_in_table == ()


def test_the_sentence_about_a_table_without_case_id_has_an_end(tmp_path):
    (tmp_path / "table.csv").write_text(",".join(f"c{number}" for number in range(20_000)) + "\n")
    with pytest.raises(InputError, match=r"has no column case_id.*c19 and 19980 more"):
        read_table(tmp_path / "table.csv")


def test_folder_for_each_case_with_images_beside(tmp_path):
    make(tmp_path, "id-1/id-1-seg.nii.gz", "id-1/id-1-t1n.nii.gz", "id-2/id-2-seg.nii.gz", "id-3/only.nii.gz")
    assert ids(tmp_path) == {"id-1": "id-1/id-1-seg.nii.gz", "id-2": "id-2/id-2-seg.nii.gz", "only": "id-3/only.nii.gz"}


def test_images_beside_labels_in_one_folder(tmp_path):
    make(tmp_path, "a.nii.gz", "a_seg.nii.gz", "b_seg.nii.gz", "c.nii.gz")
    assert sorted(ids(tmp_path).values()) == ["a_seg.nii.gz", "b_seg.nii.gz", "c.nii.gz"]


def test_decathlon_dataset(tmp_path):
    make(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "Anterior"}}))
    assert ids(tmp_path) == {"a": "labelsTr/a.nii.gz", "b": "labelsTr/b.nii.gz"}
    assert class_names(tmp_path) == class_names(tmp_path / "labelsTr") == {1: "Anterior"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "liver": 1, "whole": [1, 2]}}))
    assert class_names(tmp_path) == {1: "liver"}


def test_a_folder_whose_labels_cannot_be_told_says_so(tmp_path):
    make(tmp_path, "x/a_seg.nii.gz", "x/b_seg.nii.gz")
    with pytest.raises(InputError, match=r"several files could be the labels.*--table"):
        find_labels(tmp_path) and str(find_labels(tmp_path))
    with pytest.raises(InputError, match="no label files"):
        find_labels(make(tmp_path / "empty", "notes.txt"))
    with pytest.raises(UsageError, match="no such file"):
        find_labels(tmp_path / "absent")


def test_names_match_but_for_case_and_endings(tmp_path):
    p = make(tmp_path / "p", "Case_1_pred.nii.gz", "case_2/labels.nii.gz", "c3.nii.gz", "stranger.nii.gz")
    r = make(tmp_path / "r", "case_1_seg.nii.gz", "case_2.nii.gz", "c3_0000.nii.gz", "unused.nii.gz")
    found = pair_cases(p, r)
    assert {pair.case_id: pair.reference.path.name for pair in found.pairs} == {
        "Case_1_pred": "case_1_seg.nii.gz",
        "case_2": "case_2.nii.gz",
        "c3": "c3_0000.nii.gz",
    }
    assert found.without_reference == ("stranger",)
    assert found.without_prediction == ("unused",)


def test_an_exact_name_beats_a_similar_one(tmp_path):
    p = make(tmp_path / "p", "a.nii.gz", "a_1.nii.gz")
    r = make(tmp_path / "r", "a.nii.gz", "a_1.nii.gz")
    assert {x.case_id: x.reference.case_id for x in pair_cases(p, r).pairs} == {"a": "a", "a_1": "a_1"}


def test_two_files_match_whatever_they_are_called(tmp_path):
    make(tmp_path, "x.nii.gz", "y.nii.gz")
    (pair,) = pair_cases(tmp_path / "x.nii.gz", tmp_path / "y.nii.gz").pairs
    assert (pair.case_id, pair.reference.path.name) == ("x", "y.nii.gz")


def test_nothing_that_could_mean_two_things_is_guessed(tmp_path):
    p = make(tmp_path / "p", "A.nii.gz")
    r = make(tmp_path / "r", "a_seg.nii.gz", "a_mask.nii.gz")
    with pytest.raises(InputError, match=r"matches several references: a_mask, a_seg.*--table"):
        pair_cases(p, r) and str(pair_cases(p, r))
    two = make(tmp_path / "two", "a_pred.nii.gz", "a_mask.nii.gz")
    with pytest.raises(InputError, match="both match reference"):
        pair_cases(two, make(tmp_path / "one", "a.nii.gz"))
    with pytest.raises(InputError, match="no prediction matches a reference: A against zzz"):
        pair_cases(p, make(tmp_path / "other", "zzz.nii.gz"))


def test_cases_whose_prediction_failed_are_named(tmp_path):
    p = make(tmp_path / "p", "a/labels.nii.gz")
    for name in ("b", "c"):
        make(p, f"{name}/status.json")
        (p / name / "status.json").write_text(json.dumps({"state": "failed", "error": "the file is truncated"}))
    found = pair_cases(p, make(tmp_path / "r", "a.nii.gz", "b.nii.gz"))
    assert found.failed == {"b": "the file is truncated"}
    assert found.without_prediction == ()


def test_table_pairs_names_patients_and_groups(tmp_path):
    p = make(tmp_path / "p", "mr-1/labels.nii.gz", "mr-2/labels.nii.gz")
    r = make(tmp_path / "r", "jan.nii.gz", "piet.nii.gz")
    lines = ["case_id;reference;patient;site;age", "mr-1;jan.nii.gz;one;A;51", "mr-2;piet.nii.gz;one;B;52"]
    (tmp_path / "t.csv").write_text("\n".join([*lines, "mr-3;klaas.nii.gz;two;B;53"]))
    table = read_table(tmp_path / "t.csv", by=["site"])
    found = pair_cases(p, r, table)
    assert [(x.case_id, x.reference.path.name, x.row.patient, x.row.groups) for x in found.pairs] == [
        ("mr-1", "jan.nii.gz", "one", {"site": "A"}),
        ("mr-2", "piet.nii.gz", "one", {"site": "B"}),
    ]
    assert "klaas" in found.failed["mr-3"] or "mr-3" in found.failed["mr-3"]
    assert table.skipped == ("age",)


def test_table_of_groups_alone(tmp_path):
    p, r = make(tmp_path / "p", "a.nii.gz", "b.nii.gz"), make(tmp_path / "r", "a.nii.gz", "b.nii.gz")
    rows = [f"x{n},{n},{n % 2}" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["case_id,height,sex", "a,1,0", "b,2,1", *rows]))
    table = read_table(tmp_path / "t.csv")
    assert (table.groups, table.skipped) == (("sex",), ("height",))
    assert [x.row.groups for x in pair_cases(p, r, table).pairs] == [{"sex": "0"}, {"sex": "1"}]


@pytest.mark.parametrize(
    ("text", "words"), [("name\na", "no column case_id"), ("case_id\na\na", "twice"), ("case_id\n", "names no case")]
)
def test_tables_that_cannot_be_used(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_table(tmp_path / "t.csv")
    with pytest.raises(UsageError, match="no column 'x'"):
        (tmp_path / "u.csv").write_text("case_id\na")
        read_table(tmp_path / "u.csv", by=["x"])


def label_map(array, affine=None, names=("one", "two", "three")):
    table = LabelTable(tuple(LabelClass(v, n) for v, n in enumerate(names, start=1)))
    return objects_for_tests.label_map(array, affine, table)


def values_in_a_row(*names):
    """The values 0 to 3, those from 1 on named."""
    return label_map(np.arange(4).reshape(-1, 1, 1), names=names)


def test_every_axis_order_and_direction_of_one_grid_is_undone():
    rng = np.random.default_rng(0)
    spacing = np.array([0.8, 1.5, 2.5])
    angle = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = angle * spacing, (7, -30, 12)
    reference = label_map(rng.integers(0, 4, (5, 6, 7)).astype(np.uint8), affine)
    for axes, flips in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        turned = np.eye(4)
        last = np.array(reference.geometry.shape)[list(axes)] - 1
        start = np.where(np.array(flips) < 0, last, 0)
        turned[:3, :3] = affine[:3, :3][:, axes] * flips
        turned[:3, 3] = affine[:3, 3] + affine[:3, :3][:, axes] @ start
        array = reference.array.transpose(axes)[tuple(slice(None, None, f) for f in flips)]
        back, note = on_grid_of(label_map(array, turned), reference)
        np.testing.assert_array_equal(back.array, reference.array)
        assert back.geometry.matches(reference.geometry)
        assert (note is None) == (axes == (0, 1, 2) and min(flips) > 0)


TURNED = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]


@pytest.mark.parametrize(
    ("place", "value", "size"),
    [((0, 3), 0.5, 6), ((2, 2), 1.1, 6), (np.s_[:2, :2], TURNED, 6), (None, None, 5)],
    ids=["moved", "spaced", "turned", "cut"],
)
def test_another_grid_is_an_error_with_the_way_out(place, value, size):
    affine = np.eye(4)
    if place is not None:
        affine[place] = value
    prediction, reference = label_map(np.zeros((size, 6, 6)), affine), label_map(np.zeros((6, 6, 6)))
    assert axis_move(prediction.geometry, reference.geometry) is None
    with pytest.raises(GeometryMismatch, match="not on one grid") as caught:
        on_grid_of(prediction, reference)
    assert "resample one onto the other yourself" in str(caught.value)


def test_named_classes_are_matched_by_name():
    reference = values_in_a_row("liver", "spleen", "kidney")
    prediction, table, note = agree(reference, values_in_a_row("Kidney", "liver", "spleen"))
    assert prediction.array.ravel().tolist() == [0, 3, 1, 2]
    assert [(e.value, e.name) for e in table] == [(1, "liver"), (2, "spleen"), (3, "kidney")]
    assert "matched by name" in note


def test_unnamed_classes_are_matched_by_value_and_take_the_names_there_are():
    plain = values_in_a_row("class-1", "class-2", "class-3")
    prediction, table, note = agree(named(plain, {1: "liver"}), plain)
    assert prediction is plain
    assert note is None
    assert [e.name for e in table] == ["liver", "class-2", "class-3"]


def test_one_value_with_two_names_is_refused():
    with pytest.raises(InputError, match="value 1 is 'spleen' in the prediction and 'liver' in the reference"):
        agree(values_in_a_row("liver"), values_in_a_row("spleen"))


def test_regions_are_classes_of_their_own():
    table = LabelTable.unnamed([1, 2])
    assert class_values(table, None, {"both": (1, 2)}) == {"class-1": (1,), "class-2": (2,), "both": (1, 2)}
    assert class_values(table, {2: "x"}, {}) == {"x": (2,)}
    with pytest.raises(UsageError, match="has the name of a class"):
        class_values(table, {2: "x"}, {"x": (1,)})


def test_a_dataset_names_what_the_file_does_not():
    got, note = adopt(values_in_a_row("class-1", "class-2"), {1: "liver", 2: "spleen"}, what="prediction")
    assert [c.name for c in got.table] == ["liver", "spleen"]
    assert note is None


def test_names_of_the_dataset_under_other_values_are_matched_by_name():
    """The prediction's 1 is the dataset's 2: taking it by value would compare liver with spleen."""
    reference, _ = adopt(values_in_a_row("class-1", "class-2"), {1: "liver", 2: "spleen"}, what="reference")
    prediction, note = adopt(values_in_a_row("spleen", "Liver"), {1: "liver", 2: "spleen"}, what="prediction")
    assert note is None
    turned, _, note = agree(reference, prediction)
    assert "spleen is 1 in the prediction, 2 in the reference" in note
    assert turned.array.ravel()[:3].tolist() == [0, 2, 1]


def test_a_models_own_names_give_way_to_the_datasets_and_are_noted():
    labels = values_in_a_row("anterior hippocampus", "posterior hippocampus")
    got, note = adopt(labels, {1: "Anterior", 2: "Posterior"}, what="prediction")
    assert [c.name for c in got.table] == ["Anterior", "Posterior"]
    assert note == (
        "classes of the prediction taken by value: 1 'anterior hippocampus' as 'Anterior', "
        "2 'posterior hippocampus' as 'Posterior'"
    )
