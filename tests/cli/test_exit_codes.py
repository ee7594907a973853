"""Exit codes 0, 3 and 4 of every verb that works through several things: all worked, part of it, none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from networks_for_tests import tiny_card
from small_series import small_series
from tiny_dataset import write_msd

from medseg.bench.architectures import ArchitectureResult
from medseg.cli.app import run
from medseg.engine.run_files import write_shard_files
from medseg.engine.shard import Shard
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.service.archive import ArchiveError
from medseg.service.outgoing import Answer
from medseg.service.search import Series
from medseg.types.run import BatchResult, CaseOutcome

ALL, PART, NONE = 0, 3, 4
Arguments = Callable[[Path, int, pytest.MonkeyPatch], list[str]]


def scans(folder: Path, code: int) -> Path:
    """A folder with a scan, a corrupt file, or both."""
    folder.mkdir()
    image = nib.Nifti1Image(np.arange(512, dtype=np.int16).reshape(8, 8, 8), np.eye(4))
    if code != NONE:
        nib.save(image, folder / "good.nii.gz")
    if code != ALL:
        nib.save(image, folder / "bad.nii.gz")
        (folder / "bad.nii.gz").write_bytes((folder / "bad.nii.gz").read_bytes()[:200])
    return folder


def files(verb: str) -> Arguments:
    return lambda tmp, code, _: [verb, str(scans(tmp / "in", code)), "--out", str(tmp / "out")]


def segment(*words: str) -> Arguments:
    return lambda tmp, code, _: [*words, str(scans(tmp / "in", code)), "--out", str(tmp / "out")]


def deidentify(tmp: Path, code: int, _: pytest.MonkeyPatch) -> list[str]:
    if code != NONE:
        small_series(tmp / "in" / "clean", shape=(8, 8, 2))
    if code != ALL:
        small_series(tmp / "in" / "burned-in", shape=(8, 8, 1), BurnedInAnnotation="YES")
    return ["deidentify", str(tmp / "in"), "--out", str(tmp / "out")]


def evaluate(tmp: Path, code: int, _: pytest.MonkeyPatch) -> list[str]:
    balls = write_msd(tmp / "balls", 2)
    predictions = tmp / "predictions"
    predictions.mkdir()
    for number, label in enumerate(sorted((balls / "labelsTr").iterdir())):
        damaged = code == NONE or (code == PART and number == 0)
        (predictions / label.name).write_bytes(label.read_bytes()[:200] if damaged else label.read_bytes())
    return ["evaluate", str(predictions), str(balls / "labelsTr"), "--out", str(tmp / "out")]


def audit(tmp: Path, code: int, _: pytest.MonkeyPatch) -> list[str]:
    balls = write_msd(tmp / "balls")
    if code == PART:
        label = balls / "labelsTr" / "case_00.nii.gz"
        label.write_bytes(label.read_bytes()[:200])
    if code == NONE:
        (balls / "dataset.json").unlink()
        for path in [*balls.glob("*/*.nii.gz")]:
            path.unlink()
    return ["audit", str(balls)]


def push(tmp: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def store(_: object, items: Any) -> Any:
        for number, item in enumerate(items):
            yield item, Answer("refused" if code == NONE or (code == PART and number == 0) else None)

    monkeypatch.setattr("medseg.service.dimse.store", store)
    small_series(tmp / "in", shape=(8, 8, 2))
    return ["push", str(tmp / "in"), "--to", "dicom://127.0.0.1:1/NONE"]


def pull(tmp: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def fetch(_archive: object, series: Series, *_: object, **__: object) -> list[Path]:
        if code == NONE or (code == PART and series.uid == "1.1"):
            raise ArchiveError("it did not arrive")
        return [tmp / "a.dcm"]

    monkeypatch.setattr("medseg.service.search.search", lambda *_, **__: [Series("1", "1.1"), Series("1", "1.2")])
    monkeypatch.setattr("medseg.service.pull.pull", fetch)
    where = ["--from", "dicom://127.0.0.1:1/NONE", "--retries", "0"]
    return ["pull", *where, "--query", "Modality=MR", "--out", str(tmp / "out")]


def bench(tmp: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    balls = write_msd(tmp / "balls", 2)
    failed = {ALL: ("", ""), PART: ("no memory", ""), NONE: ("no memory", "no memory")}[code]
    results = [ArchitectureResult(f"a{number}", failure) for number, failure in enumerate(failed)]
    monkeypatch.setattr("medseg.bench.architectures.compare_architectures", lambda *_: results)
    monkeypatch.setattr("medseg.bench.architectures_report.write_architectures", lambda *_: tmp / "page.md")
    given = ["--config", "architectures-hippocampus", "--work", str(tmp / "work"), "--out", str(tmp / "out")]
    return ["bench", "architectures", str(balls), *given, "--device", "cpu"]


def report(tmp: Path, code: int, _: pytest.MonkeyPatch) -> list[str]:
    """Two shards of one case each; in part, the second has not finished."""
    (tmp / "out").mkdir()
    for index in (1, 2):
        outcome = CaseOutcome(f"c{index}", "failed" if code == NONE else "done", f"c{index}.nii", error="broken")
        result = BatchResult(tmp / "out", (outcome,), elsewhere=1)
        is_over = (code, index) != (PART, 2)
        write_shard_files(result, Shard(index, 2), {}, 0.0, [(f"c{index}", "", "", "x")], 0, is_over=is_over)
    return ["report", str(tmp / "out")]


FAST = ("--set", "segment.overlap=0", "--set", "segment.engine=torch", "--set", "segment.device=cpu")
VERBS: dict[str, Arguments] = {
    "predict": segment("predict", "--model", "tiny", *FAST),
    "run": segment("run", "batch-segmentation", "--set", "segment.model=tiny", *FAST),
    "label-next": segment("label-next", "--model", "tiny", "--device", "cpu"),
    "inspect": files("inspect"),
    "convert": files("convert"),
    "deidentify": deidentify,
    "push": push,
    "report": report,
    "pull": pull,
    "audit": audit,
    "evaluate": evaluate,
    "bench architectures": bench,
}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A model called tiny."""
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    arguments = {"features": [4, 8]}
    card = tiny_card(network=NetworkCard(name="unet", arguments=arguments))
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=arguments)
    write_package(tmp_path / "home" / "models" / "tiny", card, network.state_dict())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("code", [ALL, PART, NONE])
@pytest.mark.parametrize("verb", VERBS)
def test_what_worked_is_in_the_exit_code(verb, code, tmp_path, monkeypatch, capsys):
    assert run(VERBS[verb](tmp_path, code, monkeypatch)) == code, capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "cuda:7"], "--device cuda:7: "),
        (["--set", "segment.precision=int8"], "int8 is not used for the model 'tiny'"),
    ],
)
def test_a_device_or_engine_that_cannot_be_is_said_once_and_no_case_fails(options, message, tmp_path, capfd):
    folder = scans(tmp_path / "in", ALL)
    (folder / "better.nii.gz").write_bytes((folder / "good.nii.gz").read_bytes())
    assert run(["predict", str(folder), "--model", "tiny", "--out", str(tmp_path / "out"), *options]) == 2
    assert capfd.readouterr().err.count(message) == 1
    assert not [*(tmp_path / "out").glob("*/status.json")]
