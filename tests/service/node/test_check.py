"""What `serve check` says of a study, before anything is switched on."""

import json

import pytest
from node_peers import node_yaml
from small_series import small_series

from medseg.cli.app import run

RULES = [
    {"when": {"Modality": "CT"}, "model": "hippocampus"},
    {
        "when": {"SeriesDescription": "*T1*"},
        "model": "hippocampus",
        "formats": ["dicom-seg", "sr"],
        "send_to": ["pacs"],
    },
]
KEYS = {"rules": RULES, "destinations": {"pacs": "dicom://127.0.0.1:1/PACS"}}


def test_it_says_what_would_happen_and_why(tmp_path, capsys):
    small_series(tmp_path / "study" / "a", SeriesDescription="Sag T1")
    small_series(tmp_path / "study" / "b", SeriesDescription="Ax T2", PatientName="Doe^Jane")
    path = str(node_yaml(tmp_path, **KEYS))
    assert run(["serve", "check", path, str(tmp_path / "study")]) == 0
    text = capsys.readouterr().out
    assert "MR Sag T1 (6 objects): segmented by hippocampus as mr-" in text
    assert "written as dicom-seg, sr, sent to pacs" in text
    assert "rule 1 does not fit: Modality is 'MR', and must match 'CT'" in text
    assert "MR Ax T2 (6 objects): ignored: no rule fits" in text
    assert "rule 2 does not fit: SeriesDescription is 'Ax T2', and must match '*T1*'" in text
    assert "Doe" not in text
    assert run(["serve", "check", path, str(tmp_path / "study"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(one["rule"] or 0 for one in found) == [0, 2]
    assert not (tmp_path / "node-data").exists()


def test_where_nothing_would_be_segmented_the_exit_code_says_so(tmp_path, capsys):
    small_series(tmp_path / "study", SeriesDescription="Ax T2")
    assert run(["serve", "check", str(node_yaml(tmp_path, **KEYS)), str(tmp_path / "study")]) == 4
    (tmp_path / "empty").mkdir()
    assert run(["serve", "check", str(node_yaml(tmp_path, **KEYS)), str(tmp_path / "empty")]) == 4
    assert "there is no DICOM object here" in capsys.readouterr().err


def test_a_rule_that_cannot_work_is_found(tmp_path, capsys):
    path = node_yaml(tmp_path, rules=[{"model": "hippocampu"}])
    assert run(["serve", "check", str(path), str(tmp_path)]) == 2
    assert "rule 1, model hippocampu: there is no model called 'hippocampu'." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"callers": ["CT1 "]}, "'CT1 ' is not an application entity title"),  # would let nobody in
        ({"quiet_seconds": float("inf")}, "quiet_seconds"),  # no series would ever be whole
        ({"destinations": {"archive": "dicom://127.0.0.1:0/ARCHIVE"}}, "this is not the address of an archive"),
    ],
)
def test_a_value_by_which_nothing_would_ever_happen_is_found(keys, said, tmp_path, capsys):
    assert run(["serve", "check", str(node_yaml(tmp_path, **keys)), str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def _said(tmp_path, capsys, **rule):
    path = node_yaml(tmp_path, rules=[{"model": "hippocampus", **rule}])
    code = run(["serve", "check", str(path), str(tmp_path / "study")])
    return code, capsys.readouterr().out


def test_images_of_two_patients_and_differing_headers_are_told(tmp_path, capsys):
    for number, who in enumerate(("A", "B")):
        small_series(
            tmp_path / "study" / who, SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2.4", PatientID=who,
            SeriesDescription=f"T{number}",
        )  # fmt: skip
    code, text = _said(tmp_path, capsys, when={"SeriesDescription": "T*"})
    assert code == 4
    assert "not segmented by hippocampus: images of 2 patients" in text
    assert "its images differ in SeriesDescription" in text


def test_volumes_that_fit_equally_well_are_not_said_to_be_segmented(tmp_path, capsys):
    for number in (1, 2):
        small_series(
            tmp_path / "study" / str(number), SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2.4",
            FrameOfReferenceUID="1.2.5", PatientID="A", EchoNumbers=number, EchoTime=number * 10,
        )  # fmt: skip
    code, text = _said(tmp_path, capsys)
    assert (code, "not segmented by hippocampus: " in text) == (4, True), text


def test_a_scan_of_one_image_is_counted_and_values_are_written_as_dicom_does(tmp_path, capsys):
    small_series(tmp_path / "study", shape=(13, 11, 1), ImageType=["ORIGINAL", "PRIMARY"])
    _, text = _said(tmp_path, capsys, when={"ImageType": "DERIVED"})
    assert "(1 object)" in text
    assert "ImageType is 'ORIGINAL\\PRIMARY', and must match 'DERIVED'" in text


def test_its_own_result_is_called_one(tmp_path, capsys):
    small_series(tmp_path / "study", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Manufacturer="medseg")
    code, text = _said(tmp_path, capsys)
    assert (code, "ignored: it is a result of medseg, which holds no images" in text) == (4, True), text
