"""Twelve markers planted in DICOM, every verb with --debug: none is in a message, log, table, page or temporary file.

Objects that must carry the patient to be filed (SEG, RTSTRUCT, SR, key images) are DICOM files and are left out. What
serves or fetches is in `test_services.py`.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import yaml
from every_verb import SERVED, every_verb, steps, verbs_of
from marked_scans import MARKERS, Watch, broken, found_in, leaks, planted, spoil
from mercure_task import task
from networks_for_tests import tiny_card
from reviewed_dicom import make_dicom_results
from small_labels import MODEL, TABLE, some_labels
from small_nifti import phantom, save
from small_series import small_series
from tiny_dataset import write_config, write_msd

from medseg.cli.app import run
from medseg.io.formats import WRITERS, Labeled, write
from medseg.io.read import load_scan
from medseg.isolation import process
from medseg.models.card import NetworkCard
from medseg.models.package import ModelPackage, write_package
from medseg.models.registry import build_network
from medseg.review.opening import open_store
from medseg.types import LabelMap, LabelTable

NOWHERE = "http://127.0.0.1:9"
# {i} holds two series, {b} one whose headers are broken by text of the patient, {e} one of
# these, {l} labels, {v} others, {x} such that cannot be read, {s} their scan, {m} a model,
# {d} a dataset and {c} its configuration, {r} results that somebody reviewed, {t} a task of mercure, {y} a composite's
# description, {o} an output. Beside each line: the exit code of each of its commands.
LINES = {
    "inspect {i} {b}": (3,),
    "inspect {i} {b} --json": (3,),
    "inspect {i} {b} --out {o}": (3,),
    "inspect {i} {b} --manifest {o}/m.csv && predict --manifest {o}/m.csv --model {m} --dry-run --out {o}/r": (3, 3),
    "convert {i} {b} --out {o} --format nifti --json": (3,),
    "predict {i} {b} --model {m} --anyway --engine torch --out {o} --format nifti,dicom-seg,rtstruct,sr,sc": (
        3,
    ),
    "predict {i} {b} --model {m} --out {o} --dry-run": (3,),
    "run batch-segmentation {i} --set segment.model={m} --out {o}": (3,),
    " && ".join(
        [
            "predict {i} --model {m} --anyway --engine torch --out {o} --shard 1/2",
            "predict {i} --model {m} --anyway --engine torch --out {o} --shard 2/2",
            "report {o}",
            "monitor {o} --out {o}/m",
        ]
    ): (0, 0, 0, 4),
    "mercure {t}/in --out {o}": (0,),
    "crop {s} --around 15,10,40 --size 5,5,5 --out {o}/crop.nii.gz": (0,),
    "crop {e} --around 15,10,40 --size 5,5,5 --out {o}/crop.nii.gz": (4,),
    "export {l} --source {s} --manual --format dicom-seg,sr --out {o} --json": (0,),
    "export {l} --source {e} --manual --format dicom-seg --out {o}": (4,),
    "follow {l} {i} --scans {s} --out {o}": (2,),
    "follow {l} {v} --registered --scans {s} --scans {s} --out {o}": (0,),
    "evaluate {l} {l} --out {o}/1 && evaluate {l} {l} --out {o}/2 && compare {o}/1 {o}/2 --out {o}/3": (0, 0, 0),
    "evaluate {x} {l} --out {o}": (4,),
    "review status {r} && review verify {r} && review import {r} {b} {l} --reviewer Ada": (0, 0, 4),
    "review export {r} --out {o} --format nifti,dicom-seg,sr --reviewer Ada": (0,),
    "review export {r} --out {o} --model {m} --reviewer Ada": (0,),
    "review agreement {r} --out {o} --consensus majority": (0,),
    "audit {i} --out {o}": (4,),
    "audit {d} --out {o}": (0,),
    "plan {i}": (4,),
    "label-next {i} --scans {b} --model {m} --anyway --device cpu --out {o}/next.csv --json": (3,),
    "train {d} --config {c} --out {o} --device cpu && models export {o}/model --out {o}/model.zip": (0, 0),
    "deidentify {i} {b} --out {o} --json": (3,),
    "push {i} {b} --to {n} --retries 0": (4,),
    "models show {m}": (0,),
    "models verify {m}": (0,),
    "models register {m} --name tiny": (0,),
    "models import --composite {y} --name whole --out {o}": (0,),
}  # fmt: skip
# Verbs that no scan of anybody reaches, and that read no file that was made from one.
WITHOUT_PATIENTS = {
    ("demo",): "segments the scans that medseg ships",
    ("list",): "prints what the installation holds",
    ("copy",): "copies a shipped file",
    ("schema",): "prints a shipped schema",
    ("doctor",): "looks at the machine",
    ("bundle",): "collects packages of Python and models; a model's card is looked at in train",
    ("bench", "architectures"): "trains on a dataset as train does, by the same code",
    ("models", "list"): "prints names and titles of models",
    ("models", "optimize"): "measures on a dataset and prints figures by class",
}
# Those that take long; `run` segments in the default suite, by the same code as `predict`.
LONG = (
    "predict {i} {b} --model {m} --anyway", "predict {i} --model {m} --anyway", "run batch-segmentation {p}", "train",
    "models register", "mercure",
)  # fmt: skip
# Files that lead back to the scans, for their owner alone.
PRIVATE = ("sources.csv", ".medseg-inputs.json", "cases.1-of-2.jsonl", "cases.2-of-2.jsonl", "m.csv", "next.csv")
# What an audit and a training leave beside the package for whoever has the dataset: cases are called as there.
OF_THE_DATASET = (
    "audit.json",
    "examined.jsonl",
    "split.json",
    "report.html",
    "validation.csv",
    "validation_volumes.csv",
    "prepared",
    "plan.json",
    "fingerprint.json",
)
# The same of files that are named after the patient: {p} scans and one that is none, {a} a dataset, {f} and {g} labels.
OF_NAMED_FILES = {
    "inspect {p} --out {o}": (3,),
    "inspect {p} --manifest {o}/m.csv": (3,),
    "audit {a} --out {o} --quiet": (0,),
    "label-next {p} --model {m} --anyway --device cpu --out {o}/next.csv": (3,),
    "label-next {a} --scans {p} --model {m} --anyway --device cpu --out {o}/next.csv": (3,),
    "evaluate {a}/labelsTr {a}/labelsTr --out {o}": (0,),
    "follow {f} {g} --registered --out {o}": (0,),
    "export {f} --manual --format nrrd --out {o}": (0,),
    "run batch-segmentation {p} --set segment.model={m} --out {o}": (3,),
    "train {a} --config {c} --out {o} --device cpu && models export {o}/model --out {o}/model.zip": (0, 0),
}


def dataset(folder: Path) -> Path:
    """Four patients, each a series of other noise with a segmentation."""
    table = LabelTable(TABLE.classes[:2])
    for number in range(4):
        source = planted(folder / f"p{number}", PatientID=f"{MARKERS['PatientID']}-{number}")
        for at, path in enumerate(source.files):
            header = pydicom.dcmread(path)
            noise = np.random.default_rng(100 * number + at).normal(500, 50, (16, 16))
            header.PixelData = noise.astype(np.uint16).tobytes()
            header.save_as(path)
        labels = some_labels(load_scan(folder / f"p{number}").geometry, table, seed=number)
        write("dicom-seg", Labeled(labels, source, MODEL), folder / f"p{number}")
    return folder


def reviewed(root: Path, package: ModelPackage) -> Path:
    """Results of a series with a correction that two readers accepted."""
    out, case_id, _ = make_dicom_results(root, **MARKERS)
    maker = {"versions": {"model": str(package.identity)}, "steps": {"segment": {"model_sha256": package.hash}}}
    (out / "run.json").write_text(json.dumps(maker))
    with open_store(out, create=True) as store:
        model = store.model_labels(case_id)
        array = model.array.copy()
        array[0, 0, 2] = 1
        drawn = LabelMap(array, model.geometry, model.table)
        for who in ("Ada", "Ben"):
            saved = store.save_labels(case_id, drawn, who=who, expected=0, origin="drawn", reader=who)
            store.verdict(case_id, kind="accept", revision=saved.number, who=who, reader=who)
    return out


def named_files(root: Path) -> dict[str, Path]:
    """Scans, one file that is none, and a dataset, each named after the patient."""
    scans = root / "named"
    scans.mkdir()
    for number in range(2):
        save(scans / f"Quimbyson_Fritz_{number}.nii.gz", phantom((20, 20, 16), np.eye(4)) + number)
    (scans / "Quimbyson_Fritz_2.nii.gz").write_bytes(b"nothing" * 99)
    data = write_msd(root / "data", cases=4)
    for path in list(data.rglob("*.nii.gz")):
        path.rename(path.with_name(path.name.replace("case_", "Quimbyson_Fritz_")))
    table = data / "dataset.json"
    table.write_text(table.read_text().replace("case_", "Quimbyson_Fritz_"))
    labels = sorted((data / "labelsTr").iterdir())
    return {"p": scans, "a": data, "f": labels[0], "g": labels[1]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    scans, bad = root / "scans", root / "bad"
    planted(scans / "a")
    planted(scans / "b", Modality="CT")
    broken(bad)
    source, geometry = small_series(root / "source", shape=(16, 16, 8), **MARKERS)
    file_name = WRITERS["dicom-seg"].file_name
    for folder, seed in (("labels", 0), ("later", 1), ("spoilt", 2)):
        (root / folder).mkdir(exist_ok=True)
        write("dicom-seg", Labeled(some_labels(geometry, seed=seed), source, MODEL), root / folder)
    spoil(root / "spoilt" / file_name, "NumberOfFrames", "Winterbottom")
    arguments = {"features": [4, 8]}
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=arguments)
    card = tiny_card(network=NetworkCard(name="unet", arguments=arguments))
    package = write_package(root / "model", card, network.state_dict())
    settings = {"model": str(package.folder), "deliver_withheld": True, "engine": "torch", "format": "dicom-seg,sr"}
    given = task(root / "task", scans / "a", settings)
    (root / "composite.yaml").write_text(yaml.safe_dump({"title": "One part", "parts": [{"model": "model"}]}))
    results = reviewed(root / "reviewed", package)
    return {
        **named_files(root), "i": scans, "b": bad, "e": bad / "pixels", "l": root / "labels" / file_name,
        "v": root / "later" / file_name, "x": root / "spoilt", "s": root / "source", "m": package.folder,
        "n": NOWHERE, "d": dataset(root / "dataset"), "r": results, "t": given, "y": root / "composite.yaml",
        "c": write_config(root / "train.yaml", iterations_per_epoch=1, epochs=1, tracking=True),
    }  # fmt: skip


def test_every_verb_is_walked_or_has_a_reason_not_to_be():
    """Who adds a verb adds a line here, or to those of what serves and fetches, or says why no patient reaches it."""
    walked = verbs_of(LINES) | set(SERVED)
    assert walked | set(WITHOUT_PATIENTS) == every_verb()
    assert not walked & set(WITHOUT_PATIENTS)


def marked(lines: Iterable[str]) -> list[Any]:
    slow = pytest.mark.slow
    return [
        pytest.param(line, marks=slow if line.startswith(LONG) else (), id=line.replace(" ", "-")) for line in lines
    ]


def walk(line: str, world: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, set[str]]:
    """Run the commands of a line: exit codes, and markers that were seen in children's titles and temporary files."""
    scratch, out = tmp_path / "tmp", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    watch = Watch(scratch)
    start_module = process.start_module

    def started(module: str, arguments: Sequence[str], environment: Mapping[str, str], descriptor: int) -> Any:
        """Look at the title that a worker gets, which is another one where it is forked."""
        watch.found |= found_in(" ".join([module, *arguments]).encode())
        return start_module(module, arguments, environment, descriptor)

    monkeypatch.setattr(process, "start_module", started)
    watch.start()
    try:
        words = [[word.format(**world, o=out) for word in step.split()] for step in steps(line)]
        return tuple(run([*step, "--debug"]) for step in words), watch.found
    finally:
        watch.over.set()
        watch.join()
        logging.getLogger("medseg").setLevel(logging.WARNING)


@pytest.mark.parametrize("line", marked(LINES))
def test_no_marker_anywhere_it_must_not_be(world, tmp_path, capfd, monkeypatch, line):
    codes, seen = walk(line, world, tmp_path, monkeypatch)
    said = capfd.readouterr()
    assert codes == LINES[line], said.err.splitlines()[-6:]
    assert "this is a bug" not in said.err
    found = {
        "stdout": found_in(said.out.encode()), "stderr": found_in(said.err.encode()), "while it ran": seen,
        **leaks(tmp_path, clean="deidentify" in line),
    }  # fmt: skip
    excerpt = [row for row in (said.err + said.out).splitlines() if found_in(row.encode())][:4]
    assert {place: words for place, words in found.items() if words} == {}, excerpt


@pytest.mark.parametrize("line", marked(OF_NAMED_FILES))
def test_a_file_named_after_the_patient_is_named_nowhere(world, tmp_path, capfd, monkeypatch, line):
    """But in what leads back to it, and on the terminal of who named it: a package, page, table or log is passed on."""
    codes, seen = walk(line, world, tmp_path, monkeypatch)
    said = capfd.readouterr()
    assert codes == OF_NAMED_FILES[line], said.err.splitlines()[-6:]
    own = OF_THE_DATASET if line.startswith(("audit", "train")) else ()
    found = {"stderr": found_in(said.err.encode()), "while it ran": seen, **leaks(tmp_path, private=PRIVATE)}
    passed_on = {place: words for place, words in found.items() if words and not set(Path(place).parts) & set(own)}
    assert passed_on == {}, [row for row in said.err.splitlines() if found_in(row.encode())][:4]


def test_what_leads_back_to_scans_is_for_its_owner_alone(tmp_path):
    """The exception is for files that nobody else can read."""
    (tmp_path / "sources.csv").write_text(MARKERS["PatientID"])
    (tmp_path / "sources.csv").chmod(0o644)
    assert leaks(tmp_path, private=PRIVATE) == {"sources.csv": {MARKERS["PatientID"]}}
