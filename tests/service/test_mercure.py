"""A task as mercure gives it: ``SERIES#INSTANCE.dcm``, tags beside each, and the rule's settings in task.json."""

import json
import re
from pathlib import Path
from typing import Any

import pydicom
import pytest
from mercure_task import PATIENT, task
from small_series import small_series

from medseg.cli.app import run
from medseg.errors import Interrupted
from medseg.service.mercure import NOTIFICATION, read_settings


@pytest.fixture
def mercure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the module on a task as its container is run; returns its exit code and result."""

    def start(folder: Path) -> tuple[int, dict[str, Any]]:
        monkeypatch.setenv("MERCURE_IN_DIR", str(folder / "in"))
        monkeypatch.setenv("MERCURE_OUT_DIR", str(folder / "out"))
        code = run(["mercure"])
        return code, json.loads((folder / "out" / "result.json").read_text())

    return start


def test_a_series_becomes_objects_that_mercure_sends_on(crop, mercure, tmp_path, capsys):
    settings = {"model": "hippocampus", "format": "dicom-seg,sr", "overlap": 0, "mirror": "none", "engine": "torch"}
    settings["series"] = "sag*"
    folder = task(tmp_path, crop, settings)
    code, result = mercure(folder)
    assert code == 0
    made = sorted((folder / "out").glob("*.dcm"))
    assert {path.name for path in (folder / "out").iterdir()} == {"result.json", *(path.name for path in made)}
    study = pydicom.dcmread(next((folder / "in").glob("*.dcm"))).StudyInstanceUID
    kinds = set()
    for path in made:
        header = pydicom.dcmread(path)
        kinds.add(header.Modality)
        assert path.name == f"{header.SeriesInstanceUID}#{header.SOPInstanceUID}.dcm"
        assert header.StudyInstanceUID == study
    assert kinds == {"SEG", "SR"}
    (case,) = result["cases"]
    assert case["state"] == "done"
    assert "chosen by the setting 'series'" in case["notes"]
    assert set(case["volumes"]) == {"anterior hippocampus", "posterior hippocampus"}
    assert "touches the edge" in result[NOTIFICATION]["text"].lower()
    said = capsys.readouterr()
    assert not any(text in said.out + said.err + json.dumps(result) for text in PATIENT.values())


@pytest.mark.parametrize(("deliver", "code"), [pytest.param(False, 3, marks=pytest.mark.slow), (True, 0)])
def test_what_the_model_is_not_for_is_withheld_and_said(deliver, code, mercure, tmp_path):
    small_series(tmp_path / "series", shape=(80, 80, 12))
    settings = {"model": "hippocampus", "deliver_withheld": deliver}
    ended, result = mercure(task(tmp_path / "task", tmp_path / "series", settings, as_list=True))
    assert (ended, result["exit_code"]) == (code, code)
    (case,) = result["cases"]
    assert case["state"] == "withheld"
    assert case["error"] in result[NOTIFICATION]["text"]
    assert "or add the setting 'anyway': labels are then made" in case["fix"]  # a module is given no options
    assert not [*(tmp_path / "task" / "out").glob("*.dcm")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "model"),
        ({"model": "hippocampu"}, "Did you mean 'hippocampus'?"),
        ({"model": "hippocampus", "formats": "dicom-seg"}, "unknown key 'formats'. Did you mean 'format'?"),
        ({"model": "hippocampus", "format": "nifti"}, "dicom-seg"),
        ({"model": "hippocampus", "overlap": 2}, "overlap"),
    ],
)
def test_settings_that_cannot_be_are_said_in_one_sentence_and_in_the_result(
    settings, message, mercure, tmp_path, capsys
):
    small_series(tmp_path / "series", shape=(8, 8, 2))
    code, result = mercure(task(tmp_path / "task", tmp_path / "series", settings))
    assert (code, result["exit_code"]) == (2, 2)
    assert message in result["error"]
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": {}, "info": {}}', '{"process": []}'])
def test_what_is_no_task_is_refused(text, mercure, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "task.json").write_text(text)
    code, result = mercure(tmp_path)
    assert code in (2, 4)
    assert "task.json" in result["error"]


def test_a_case_names_neither_options_nor_the_tasks_folder(mercure, tmp_path):
    small_series(tmp_path / "series", shape=(12, 12, 12))
    twin = pydicom.dcmread(tmp_path / "series" / "0003")
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = "2.25.9"
    twin.save_as(tmp_path / "series" / "twin")  # in the same place as another
    _, result = mercure(task(tmp_path / "same", tmp_path / "series", {"model": "hippocampus"}))
    (case,) = result["cases"]
    assert case["error"].startswith("2 or more images share a place")
    assert ": failed: 2 or more images share a place" in result[NOTIFICATION]["text"]


def test_neither_result_nor_log_names_a_file_or_an_option(mercure, tmp_path, capsys):
    small_series(tmp_path / "series", shape=(12, 12, 12))
    folder = task(tmp_path / "lost", tmp_path / "series", {"model": "hippocampus"})
    damaged, *others = sorted((folder / "in").glob("*.dcm"))
    damaged.write_bytes(damaged.read_bytes()[:400])
    for path in (damaged, *others):
        path.rename(path.with_name(f"Doe^Jane {path.name}"))
    _, result = mercure(folder)
    lost, broken = sorted(result["cases"], key=lambda case: case["case_id"], reverse=True)
    assert lost["error"].endswith(f"cannot be read: {broken['case_id']}")
    said = capsys.readouterr()
    text = said.out + said.err + json.dumps(result)
    assert not re.search(r"\d+(\.\d+){6}|Doe|--[a-z]|: in: ", text.replace(str(result["software"]), ""))
    assert "allow incomplete series (the setting 'allow_incomplete')" in said.err


@pytest.mark.parametrize(("given", "made"), [("x", "x"), ("x", "x/out"), ("x/in", "x"), ("x", "x/../link")])
def test_an_output_within_the_input_or_around_it_is_refused(given, made, monkeypatch, tmp_path, capsys):
    for name in (given, *([made] if "link" not in made else [])):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "link").symlink_to("x")
    monkeypatch.setenv("MERCURE_IN_DIR", str(tmp_path / given))
    monkeypatch.setenv("MERCURE_OUT_DIR", str(tmp_path / made))
    assert run(["mercure"]) == 2
    said = capsys.readouterr().err
    assert re.search("MERCURE_IN_DIR and MERCURE_OUT_DIR (are the same folder|lie one in the other)", said)
    assert "name two folders side by side" in said
    assert not [*tmp_path.rglob("result.json")]


def test_of_series_that_fit_equally_the_setting_is_named(mercure, tmp_path):
    study = {"StudyInstanceUID": "2.25.1", "BodyPartExamined": "BRAIN"}
    for number in (1, 2):
        small_series(tmp_path / "series" / str(number), shape=(12, 12, 12), SeriesNumber=number, **study)
    _, result = mercure(task(tmp_path / "two", tmp_path / "series", {"model": "hippocampus"}))
    assert result["cases"][0]["fix"] == "Choose one with the setting 'series'."
    code, result = mercure(task(tmp_path / "none", tmp_path / "series", {"model": "hippocampus", "series": "T2*"}))
    assert code == 2
    assert result["error"].startswith("the setting 'series' T2*: none of 2 volumes matches.")


def test_a_task_without_a_scan_says_so(mercure, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    code, result = mercure(task(tmp_path, tmp_path / "none", {"model": "hippocampus"}))
    assert (code, result["exit_code"]) == (4, 4)
    assert "there is no scan in the task's folder" in result["error"]
    assert "there is no scan in the task's folder" in capsys.readouterr().err


def test_a_task_that_is_stopped_says_so_in_its_result(mercure, tmp_path, monkeypatch):
    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("SIGTERM")

    monkeypatch.setattr("medseg.service.mercure.predict", stopped)
    small_series(tmp_path / "series")
    code, result = mercure(task(tmp_path / "task", tmp_path / "series", {"model": "hippocampus"}))
    assert (code, result["exit_code"], result["error"]) == (75, 75, "the task was stopped before it was done")


def test_without_its_folders_it_says_who_should_start_it(monkeypatch, capsys):
    for variable in ("MERCURE_IN_DIR", "MERCURE_OUT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    assert run(["mercure"]) == 2
    assert "MERCURE_IN_DIR is not set. Let mercure start this container" in capsys.readouterr().err


def test_settings_are_those_of_predict(tmp_path):
    import inspect

    import medseg
    from medseg.service.mercure import MercureSettings

    own = {"deliver_withheld", "notify"}
    assert set(MercureSettings.model_fields) - own <= set(inspect.signature(medseg.predict).parameters)
    (tmp_path / "task.json").write_text('{"process": {"settings": {"model": "m"}}}')
    assert read_settings(tmp_path / "task.json").format == ("dicom-seg",)
