"""What went wrong is said in the words that the user typed, as one sentence with a fix."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny_dataset import write_msd

import medseg
from medseg import resources
from medseg.bench.architectures_config import Architectures
from medseg.cli.app import run
from medseg.cli.verb import print_result
from medseg.config.load import read_yaml
from medseg.config.purpose import KEYS, check_purpose
from medseg.engine.pipeline import load_pipeline
from medseg.evaluation.options import EvaluateOptions
from medseg.infer.mirroring import mirror_axes
from medseg.models.package import load_package
from medseg.training.config import TrainConfig
from medseg.types.run import BatchResult, CaseOutcome, ClassVolume, Volumes

SCAN = np.arange(512, dtype=np.int16).reshape(8, 8, 8)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("text")
    nib.save(nib.Nifti1Image(SCAN, np.eye(4)), tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("verb", ["predict", "run", "convert", "inspect"])
def test_an_empty_folder_is_called_that(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"predict": ["-m", "hippocampus"], "run": ["--set", "segment.model=hippocampus"]}.get(verb, [])
    first = ["run", "batch-segmentation"] if verb == "run" else [verb]
    assert run([*first, "empty", "-o", "out", *words]) == 4
    assert "no scan was found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "words"),
    [("audit", []), ("plan", []), ("deidentify", ["-o", "out"]), ("evaluate", ["empty", "-o", "out"])],
)
def test_every_other_verb_says_something_of_an_empty_folder(
    verb: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([verb, "empty", *words]) == 4
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize("words", [["convert", "note.txt", "-o", "out"], ["predict", "note.txt", "-m", "hippocampus"]])
def test_a_text_file_is_called_that(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "-o", "out"]) == 4
    captured = capsys.readouterr()
    assert "it is a text file, not a scan" in captured.out + captured.err


PURPOSES = {
    "training": set(TrainConfig.model_fields),
    "evaluation": set(EvaluateOptions.model_fields),
    "a comparison of architectures": set(Architectures.model_fields),
}


def test_the_keys_of_each_purpose_are_its_own() -> None:
    file = load_pipeline(resources.find("pipelines", "batch-segmentation"))
    known = PURPOSES | {"segmentation": {step.name for step in (file.gather, *file.each, *file.finish)}}
    assert known.keys() == KEYS.keys()
    for purpose, keys in KEYS.items():
        assert keys <= known[purpose]
        assert not any(keys & known[other] for other in known if other != purpose)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", ".", "-m", "hippocampus", "-o", "o", "-c", "hippocampus"], "for training, not for segmentation"),
        (["train", ".", "-o", "o", "-c", "predict"], "for segmentation, not for training"),
        (["audit", ".", "-c", "architectures-membranes"], "for a comparison of architectures, not for training"),
        (["evaluate", ".", ".", "-o", "o", "-c", "nuclei"], "for training, not for evaluation"),
    ],
)
def test_a_configuration_for_something_else(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert f"--config {words[-1]}: this is a configuration {said}" in capsys.readouterr().err


def test_each_shipped_configuration_has_one_purpose() -> None:
    for name, path in resources.shipped("configs").items():
        accepted = 0
        for purpose in KEYS:
            try:
                check_purpose(read_yaml(path), purpose, name=name)
                accepted += 1
            except medseg.ConfigError:
                pass
        assert accepted == 1, name


def test_a_step_without_its_value_names_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "batch-segmentation", "scan.nii.gz", "-o", "o"]) == 2
    assert "needs a value for model. Add --set segment.model=MODEL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "scan.nii.gz", "-o", "o", "-m", "nope"], "--model nope: "),
        (["predict", "scan.nii.gz", "-o", "o", "-m", "empty"], "--model empty: "),
        (["predict", "scan.nii.gz", "-o", "o", "-m", "note.txt"], "--model note.txt: "),
        (["inspect", "scan.nii.gz", "-m", "nope"], "--model nope: "),
        (["models", "show", "empty"], "MODEL empty: "),
        (["train", ".", "-o", "o", "--from", "nope"], "--from nope: "),
    ],
)
def test_what_is_no_model_repeats_the_option(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert said in capsys.readouterr().err


def test_values_that_occur_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_msd(tmp_path / "balls", 2) / "labelsTr"
    for words in (["--region", "whole=1,9"], ["--class", "9=foo"]):
        assert run(["evaluate", str(labels), str(labels), "-o", "first", *words]) == 2
        assert f"{words[0]} {words[1].partition('=')[0]}" in capsys.readouterr().err
        (tmp_path / "bare").mkdir(exist_ok=True)
        for label in labels.iterdir():
            (tmp_path / "bare" / label.name).write_bytes(label.read_bytes())
        assert run(["evaluate", "bare", "bare", "-o", "second", "--set", "n_bootstrap=100", *words]) == 3
        assert "none of the 2 measured cases holds the value 9" in capsys.readouterr().err
        assert "holds the value 9" in (tmp_path / "second" / "report.html").read_text()


def test_a_done_case_of_an_earlier_run_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = BatchResult(tmp_path, (CaseOutcome("a", "current", "a.nii.gz", tmp_path),))
    print_result(result, json=False)
    assert capsys.readouterr().out.startswith("a\tdone (unchanged)\t")
    print_result(result, json=True)
    assert '"state": "done"' in capsys.readouterr().out


def test_the_volumes_of_a_case_are_those_of_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    volumes = Volumes((ClassVolume("liver", 3, 0.024),))
    print_result(BatchResult(tmp_path, (CaseOutcome("a", "done", "a.nii.gz", tmp_path, volumes=volumes),)), json=True)
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert case["volumes"] == {"liver": {"voxels": 3, "volume_ml": 0.024}}


def test_a_withheld_case_shows_why_and_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    outcome = CaseOutcome("a", "withheld", "a.nii.gz", tmp_path, error="The scan is CT; the model is for MR")
    with caplog.at_level("INFO", "medseg"):
        print_result(BatchResult(tmp_path, (outcome,)), json=False)
    assert "1 withheld" in caplog.messages
    assert capsys.readouterr().out == "a\twithheld\tThe scan is CT; the model is for MR\n"


def export_labels(shape: tuple[int, int, int]) -> None:
    array = np.zeros(shape, np.uint8)
    array[2:4, 2:4, 2:4] = 1
    nib.save(nib.Nifti1Image(array, np.eye(4)), "labels.nii.gz")


EXPORT = ["export", "labels.nii.gz", "--source", "scan.nii.gz", "-o", "o", "-f"]


@pytest.mark.parametrize(
    ("shape", "code", "said"),
    [
        ((8, 8, 8), 0, ""),
        ((8, 8, 5), 0, ""),  # a slab, as DICOM SEG holds it
        ((7, 7, 8), 0, "check that they belong together"),
        ((9, 9, 9), 0, "check that they belong together"),
        ((9, 7, 8), 4, "neither grid holds the other"),
    ],
)
def test_labels_of_another_grid(
    shape: tuple[int, int, int], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    export_labels(shape)
    assert run([*EXPORT, "nifti"]) == code
    err = capsys.readouterr().err
    assert said in err
    assert said or "check" not in err


def test_one_format_of_several_fails(capsys: pytest.CaptureFixture[str]) -> None:
    export_labels((8, 8, 8))
    assert run([*EXPORT, "dicom-seg-objects,mha", "--manual"]) == 3
    assert Path("o/labels.mha").is_file()
    assert run([*EXPORT, "dicom-seg-objects", "--manual"]) == 4
    assert capsys.readouterr().err.count("no objects were made") == 3, "once more where it is the only format"
    assert run(["export", "labels.nii.gz", "-o", "o", "-f", "mha,nifti"]) == 0
    assert np.array_equal(medseg.read_labels("o/labels.mha").array, medseg.read_labels("labels.nii.gz").array)


@pytest.mark.parametrize("wrong", [None, 3, ["scan.nii.gz"], [Path("scan.nii.gz")], "text"[:0].encode()])
def test_what_is_no_scan_names_the_types_that_are(wrong: object) -> None:
    with pytest.raises(medseg.UsageError, match=r"Give a path, a medseg\.Scan, a nibabel or SimpleITK image"):
        medseg.segment(wrong)  # type: ignore[arg-type]


def test_an_affine_is_called_that() -> None:
    with pytest.raises(medseg.InputError, match="Give affine=, four rows of four numbers"):
        medseg.segment(SCAN, affine=np.eye(3))


def test_a_grid_is_compared_with_a_grid() -> None:
    with pytest.raises(medseg.UsageError, match="with a Geometry only, not with int"):
        medseg.Geometry(np.eye(4), (8, 8, 8)).match(5)  # type: ignore[arg-type]


def test_a_note_on_mirroring_counts_the_axes() -> None:
    card = load_package("hippocampus").card
    card = card.model_copy(update={"input": card.input.model_copy(update={"mirror_axes": (0,)})})
    assert mirror_axes(card, "all")[1] == (
        "Mirrored along 1 of 3 axes, because the network was not trained for the others.",
    )


@pytest.mark.parametrize("name", ["empty", "gone"])
def test_no_number_of_the_system(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "empty", name]) in (2, 4)
    assert "Errno" not in capsys.readouterr().err


def test_a_single_string_is_one_item() -> None:
    with pytest.raises(medseg.ConfigError, match=r"^`settings` segment\.overlop=0\.3: unknown key"):
        medseg.predict("scan.nii.gz", "hippocampus", "o", settings="segment.overlop=0.3")
    with pytest.raises(medseg.UsageError, match="a comparison needs two evaluations"):
        medseg.compare("ev1")
    with pytest.raises(medseg.UsageError, match="`group_by` site"):
        medseg.evaluate("empty", "empty", group_by="site")
