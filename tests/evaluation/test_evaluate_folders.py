"""Whole evaluations: folders in, tables and a report out."""

import json
import math
import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from medseg.cli.app import run
from medseg.engine.evaluate import evaluate
from medseg.errors import InputError, MissingDependency, UsageError
from medseg.evaluation.options import EvaluateOptions, options_from
from medseg.tracking.evaluation_figures import tracked_figures

AFFINE = np.array([[-1.0, 0, 0, 20], [0, -1, 0, 30], [0, 0, 2, -10], [0, 0, 0, 1]])
SHAPE = (24, 20, 16)
QUICK = EvaluateOptions(n_bootstrap=100)


def save(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(array, np.uint8), affine), path)


def two_boxes(shift=0):
    array = np.zeros(SHAPE, np.uint8)
    array[4 + shift : 12 + shift, 4:14, 4:12] = 1
    array[14:20, 4:14, 4:12] = 2
    return array


@pytest.fixture
def folders(tmp_path):
    """Three cases: perfect, shifted, and one whose second class is missing."""
    for name, shift in (("a", 0), ("b", 1), ("c", 2)):
        save(tmp_path / "ref" / "labelsTr" / f"{name}.nii.gz", two_boxes())
        save(tmp_path / "ref" / "imagesTr" / f"{name}.nii.gz", np.random.default_rng(0).integers(0, 255, SHAPE))
        array = two_boxes(shift)
        save(tmp_path / "pred" / name / "labels.nii.gz", np.where(array == 2, 0, array) if name == "c" else array)
    labels = {"0": "background", "1": "liver", "2": "<b>spleen</b>"}
    (tmp_path / "ref" / "dataset.json").write_text(json.dumps({"labels": labels}))
    return tmp_path


def values(report, metric):
    return {(r.case_id, r.class_name): r.value for r in report.rows if r.metric == metric}


def test_figures_of_every_case_and_class(folders):
    report = evaluate(folders / "pred", folders / "ref", config=QUICK)
    spleen = "<b>spleen</b>"
    assert values(report, "dice") == pytest.approx(
        {("a", "liver"): 1, ("a", spleen): 1, ("b", "liver"): 0.875, ("b", spleen): 1, ("c", "liver"): 0.75}
        | {("c", spleen): 0}
    )
    assert values(report, "hd")["b", "liver"] == 1
    assert values(report, "hd95")["c", spleen] == math.inf
    assert report.exit_code == 0
    node = report.summary["classes"][spleen]["hd95"]
    assert (node["mean"], node["infinite"], node["cases"]) == (0, 1, 2)
    assert report.definitions["hd95"].startswith("The larger of the two directed")


def test_outputs_can_be_read_back(folders):
    out = folders / "out"
    report = evaluate(folders / "pred", folders / "ref" / "labelsTr", out, config=QUICK)
    assert sorted(p.name for p in out.iterdir()) == ["per_case.csv", "report.html", "summary.json", "summary.tex"]
    frame = pd.read_csv(out / "per_case.csv")
    assert len(frame) == len(report.rows)
    expected = values(report, "hd95")
    got = frame[frame.metric == "hd95"].set_index(["case_id", "class"]).value.to_dict()
    assert got == pytest.approx(expected)
    summary = json.loads((out / "summary.json").read_text(), parse_constant=lambda text: pytest.fail(text))
    assert summary["classes"]["liver"]["dice"]["mean"] == pytest.approx(0.875)
    assert [w["case_id"] for w in summary["classes"]["liver"]["dice"]["worst"]] == ["c", "b", "a"]
    assert summary["classes"]["<b>spleen</b>"]["hd95"]["worst"][0] == {"case_id": "c", "value": "inf"}
    assert "<b>spleen</b>" in summary["confusion"]["classes"]
    assert np.sum(summary["confusion"]["voxels"]) == 3 * np.prod(SHAPE)
    assert r"\begin{tabular}" in (out / "summary.tex").read_text()


def test_report_is_one_safe_file(folders):
    evaluate(folders / "pred", folders / "ref", folders / "out", config=QUICK)
    page = (folders / "out" / "report.html").read_text()
    assert "<b>spleen</b>" not in page
    assert "&lt;b&gt;spleen&lt;/b&gt;" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:image/png;base64,|#)[^\"]*\"", page)
    assert "default-src 'none'" in page
    assert page.count('<section class="card"') == 3
    assert page.count("data:image/png;base64,") == 6
    assert "no scan given" not in page
    assert str(folders) not in page


def test_report_links_into_the_report_of_predict(folders):
    (folders / "pred" / "report.html").write_text("")
    evaluate(folders / "pred", folders / "ref", folders / "deep" / "out", config=QUICK)
    assert 'href="../../pred/report.html#c"' in (folders / "deep" / "out" / "report.html").read_text()


def test_a_bad_case_does_not_spoil_the_others(folders):
    moved = AFFINE.copy()
    moved[0, 3] += 3
    save(folders / "pred" / "b" / "labels.nii.gz", two_boxes(), moved)
    (folders / "pred" / "c" / "labels.nii.gz").write_bytes(b"not a scan")
    report = evaluate(folders / "pred", folders / "ref", folders / "out", config=QUICK)
    assert {r.case_id for r in report.rows} == {"a"}
    assert "not on one grid" in report.failed["b"]
    assert set(report.failed) == {"b", "c"}
    assert report.exit_code == 3
    page = (folders / "out" / "report.html").read_text()
    assert "Could not be measured" in page
    assert "not on one grid" in page


def test_axes_turned_without_moving_a_voxel_are_measured_and_noted(folders):
    image = nib.load(folders / "pred" / "b" / "labels.nii.gz")
    before = values(evaluate(folders / "pred", folders / "ref", config=QUICK), "dice")
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt("SAR"))
    nib.save(image.as_reoriented(turn), folders / "pred" / "b" / "labels.nii.gz")
    report = evaluate(folders / "pred", folders / "ref", config=QUICK)
    assert values(report, "dice") == before
    assert report.notes == {"b": ("axes turned from SAR to LPS, no voxel moved",)}


def test_nothing_that_works_is_exit_code_4(folders):
    for name in "abc":
        save(folders / "pred" / name / "labels.nii.gz", two_boxes()[:-1])
    report = evaluate(folders / "pred", folders / "ref", folders / "out", config=QUICK)
    assert report.exit_code == 4
    assert json.loads((folders / "out" / "summary.json").read_text())["cases"] == 0


def test_a_class_only_some_cases_have_is_undefined_in_the_others(folders):
    extra = two_boxes()
    extra[0, 0, 0] = 3
    save(folders / "pred" / "a" / "labels.nii.gz", extra)
    report = evaluate(folders / "pred", folders / "ref", config=QUICK)
    dice, volume = values(report, "dice"), values(report, "volume_ml")
    assert dice["a", "class-3"] == 0
    assert math.isnan(dice["b", "class-3"])
    assert volume["b", "class-3"] == 0
    assert report.summary["classes"]["class-3"]["dice"]["undefined"] == 2


def test_regions_groups_and_patients(folders):
    (folders / "t.csv").write_text("case_id,patient,site\na,one,X\nb,one,Y\nc,two,Y\n")
    options = EvaluateOptions(n_bootstrap=100, regions={"both": (1, 2)})
    report = evaluate(folders / "pred", folders / "ref", config=options, table=folders / "t.csv")
    assert values(report, "dice")["b", "both"] == pytest.approx(2 * (7 * 10 * 8 + 480) / (2 * (640 + 480)))
    assert report.summary["patients"] == 2
    assert report.summary["patient_of"] == {"a": "one", "b": "one", "c": "two"}
    sites = report.summary["groups"]["site"]
    assert sites["X"]["liver"]["dice"]["mean"] == 1
    assert sites["Y"]["liver"]["dice"]["mean"] == pytest.approx(0.8125)


def test_only_the_classes_asked_for(folders):
    report = evaluate(folders / "pred", folders / "ref", config=EvaluateOptions(classes={2: "tumor"}, n_bootstrap=100))
    assert {r.class_name for r in report.rows} == {"tumor"}


def test_scores_bring_calibration_and_froc(folders):
    for name, sure in (("a", 0.9), ("b", 0.8)):
        labels = np.asarray(nib.load(folders / "pred" / name / "labels.nii.gz").dataobj)
        probabilities = np.stack([np.where(labels == v, sure, (1 - sure) / 2) for v in range(3)], axis=-1)
        image = nib.Nifti1Image(probabilities.astype(np.float32), AFFINE)
        nib.save(image, folders / "pred" / name / "probabilities.nii.gz")
    report = evaluate(folders / "pred", folders / "ref", folders / "out", config=QUICK)
    # Case a is right everywhere and says 0.9.
    assert values(report, "ece")["a", "all"] == pytest.approx(0.1, abs=1e-6)
    assert ("c", "all") not in values(report, "ece")
    assert report.summary["froc"]["liver"]["mean_sensitivity"] == 1
    assert report.summary["calibration"]["all"]["ece"] > 0
    assert "Reliability, foreground voxels" in (folders / "out" / "report.html").read_text()


def test_maps_of_object_ids(tmp_path):
    reference, prediction = np.zeros((2, *SHAPE), np.uint8)
    reference[2:6, 2:6, 2:6], reference[6:10, 2:6, 2:6], reference[14:18, 10:14, 4:8] = 7, 9, 200
    prediction[2:6, 2:6, 2:6], prediction[6:10, 2:6, 2:5] = 1, 2
    save(tmp_path / "r" / "x.nii.gz", reference)
    save(tmp_path / "p" / "x.nii.gz", prediction)
    options = EvaluateOptions(objects="instances", n_bootstrap=100)
    report = evaluate(tmp_path / "p", tmp_path / "r", tmp_path / "out", config=options)
    assert values(report, "pq") == {("x", "all"): pytest.approx(1.75 / 2.5)}
    assert values(report, "ap@0.8") == {("x", "all"): pytest.approx(1 / 4)}
    assert values(report, "dice") == {("x", "all"): pytest.approx(2 * 112 / (112 + 192))}
    assert report.summary["pooled"]["all"]["f1@0.5"] == pytest.approx(0.8)


def test_jobs_change_nothing(folders):
    one = evaluate(folders / "pred", folders / "ref", config=QUICK)
    two = evaluate(folders / "pred", folders / "ref", config=QUICK.model_copy(update={"jobs": 2}))
    assert [repr(r) for r in one.rows] == [repr(r) for r in two.rows]
    assert one.summary["classes"].keys() == two.summary["classes"].keys()


def test_two_files(folders):
    report = evaluate(folders / "pred" / "b" / "labels.nii.gz", folders / "ref" / "labelsTr" / "a.nii.gz", config=QUICK)
    assert values(report, "dice")["b", "liver"] == 0.875


def test_a_dataset_description_that_cannot_be_read_is_not_needed_where_classes_are_named(folders):
    (folders / "ref" / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="or use `classes` 1=NAME"):
        evaluate(folders / "pred", folders / "ref", config=QUICK)
    named = QUICK.model_copy(update={"classes": {1: "liver"}})
    assert values(evaluate(folders / "pred", folders / "ref", config=named), "dice")["a", "liver"] == 1


def test_figures_for_a_tracker(folders):
    flat = tracked_figures(evaluate(folders / "pred", folders / "ref", config=QUICK))
    assert flat["dice/mean/liver"] == pytest.approx(0.875)
    assert "nsd_at_2mm/median/liver" in flat
    assert all(math.isfinite(value) and "@" not in name for name, value in flat.items())


def test_parquet_without_pyarrow_is_said_before_anything_is_measured(folders, monkeypatch):
    monkeypatch.setattr("medseg.evaluation.tables.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"medseg\[parquet\]") as caught:
        evaluate(folders / "pred", folders / "ref", folders / "out", config=QUICK, parquet=True)
    assert "pyarrow" in str(caught.value)
    assert not (folders / "out").exists()


def test_parquet_holds_what_the_csv_holds(folders):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (pip install 'medseg[parquet]')")
    evaluate(folders / "pred", folders / "ref", folders / "out", config=QUICK, parquet=True)
    tables = pd.read_parquet(folders / "out" / "per_case.parquet"), pd.read_csv(folders / "out" / "per_case.csv")
    pd.testing.assert_frame_equal(*tables)


def test_command_line(folders, capsys):
    arguments = ["evaluate", str(folders / "pred"), str(folders / "ref"), "--out", str(folders / "out")]
    assert run([*arguments, "--tolerance", "3", "--region", "both=1,2", "--set", "n_bootstrap=100"]) == 0
    printed = capsys.readouterr()
    assert "nsd@3mm" in printed.out
    assert "both" in printed.out
    save(folders / "pred" / "stranger" / "labels.nii.gz", two_boxes())
    assert run([*arguments, "--json", "--set", "n_bootstrap=100"]) == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["predictions_without_reference"] == ["stranger"]
    assert "stranger" in printed.err
    assert run(["evaluate", str(folders / "absent"), str(folders / "ref"), "--out", str(folders / "out")]) == 2
    assert run([*arguments, "--set", "tolerance=1"]) == 2
    assert run([*arguments, "--class", "liver"]) == 2
    capsys.readouterr()
    for name in ("one", "two"):
        evaluate(folders / "pred", folders / "ref", folders / name, config=QUICK)
    two = [str(folders / "one"), str(folders / "two")]
    assert run(["compare", *two, "--metric", "dice", "--out", str(folders / "c")]) == 0
    assert "had a mean Dice of liver of" in capsys.readouterr().out


def test_options_of_the_command_line():
    options = options_from(
        None, ["lesions.dilation=1"], classes={1: "a", 2: "b"}, regions={"x": [1, 2]}, tolerances_mm=[3.0]
    )
    assert options.classes == {1: "a", 2: "b"}
    assert options.regions == {"x": (1, 2)}
    assert (options.tolerances_mm, options.lesions.dilation) == ((3.0,), 1)
    wrong = [{"classes": {"one": "a"}}, {"regions": {"x": []}}, {"settings": ["tolerances_mm=[0]"]}]
    for options in (*wrong, {"objects": "things"}):
        with pytest.raises(UsageError):
            options_from(**options)


def test_a_folder_of_scans_that_is_not_there(folders):
    with pytest.raises(UsageError, match="no such file or folder"):
        evaluate(folders / "pred", folders / "ref", folders / "out", config=QUICK, images=folders / "absent")
