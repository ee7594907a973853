"""Twelve markers planted in DICOM, every verb with --debug: none is in a message, log, table, page or temporary file.

Objects that must carry the patient to be filed (SEG, RTSTRUCT, SR, key images) are DICOM files and are left out.
"""

import logging
import sqlite3
import struct
import threading
import time
from pathlib import Path

import psutil
import pydicom
import pytest
from networks_for_tests import tiny_card
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.cli.app import run
from medseg.io.formats import WRITERS, Labeled, write
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network

MARKERS = {
    "PatientName": "Quimbyson^Fritz",
    "PatientID": "MRN-77-4711",
    "PatientBirthDate": "19370203",
    "OtherPatientIDs": "OLD-331-77",
    "PatientAddress": "Winterbottom Lane 5",
    "PatientComments": "cousin of Oleander",
    "ReferringPhysicianName": "Hartwell^Ada",
    "OperatorsName": "Evergreen^Tech",
    "InstitutionName": "Zwiesel Clinic",
    "AccessionNumber": "ACC-31415",
    "StudyDescription": "follow-up of Fenwickstone",
}
PRIVATE = "Marlowe private note"
WORDS = (
    "Quimbyson", "MRN-77-4711", "19370203", "OLD-331-77", "Winterbottom", "Oleander", "Hartwell", "Evergreen",
    "Zwiesel",
    "ACC-31415", "Fenwickstone", "Marlowe",
)  # fmt: skip
NOWHERE = "http://127.0.0.1:9"
# {i} holds two series, {b} one whose headers are broken by text of the patient, {l} labels, {s} a scan, {o} an output.
LINES = (
    "inspect {i} {b}",
    "inspect {i} {b} --json",
    "inspect {i} {b} --out {o}",
    "convert {i} {b} --out {o} --format nifti --json",
    "predict {i} {b} --model {m} --anyway --engine torch --out {o} --format nifti,dicom-seg,rtstruct,sr,key-images",
    "predict {i} {b} --model {m} --out {o} --dry-run",
    "export {l} --source {s} --manual --format dicom-seg,sr --out {o} --json",
    "export {l} --source {b} --manual --format dicom-seg --out {o}",
    "follow {l} {i} --scans {s} --out {o}",
    "evaluate {l} {l} --out {o}",
    "evaluate {b} {l} --out {o}",
    "audit {i} --out {o}",
    "plan {i}",
    "deidentify {i} {b} --out {o} --json",
    "push {i} {b} --to {n} --retries 0",
    "models show {m}",
    "models verify {m}",
)


def planted(folder: Path, **elements: object) -> list[Path]:
    """A series with all markers."""
    source, _ = small_series(folder, shape=(16, 16, 8), **MARKERS, **elements)
    for path in source.files:
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", PRIVATE)
        dataset.save_as(path)
    return list(source.files)


def broken(folder: Path) -> None:
    """Files that are refused because of what a person typed, or a program wrote, into the wrong element."""
    wrong = {
        "RescaleSlope": "Quimbyson",
        "PixelSpacing": ["Zwiesel", "1"],
        "ImagePositionPatient": ["Hartwell"] * 3,
        "Rows": b"Oleander",
        "NumberOfFrames": "MRN-77-4711",
        "SeriesInstanceUID": "Winterbottom",
        "SOPClassUID": "Evergreen",
        "PhotometricInterpretation": "FENWICKSTONE",
        "SeriesDate": "Fenwickstone",
        "BitsStored": b"Marlowe!",
    }
    for keyword, value in wrong.items():
        (path, *_) = planted(folder / keyword.lower()[:6], RescaleSlope="1", NumberOfFrames="1", SeriesDate="20200101")
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # so that it is read by the dictionary
        pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
        raw = path.read_bytes()
        start = raw.index(struct.pack("<HH", Tag(keyword).group, Tag(keyword).element), 132)
        (length,) = struct.unpack("<I", raw[start + 4 : start + 8])
        text = _bytes(value)
        path.write_bytes(raw[: start + 4] + struct.pack("<I", len(text)) + text + raw[start + 8 + length :])


def _bytes(value: object) -> bytes:
    text = value if isinstance(value, bytes) else "\\".join([value] if isinstance(value, str) else value).encode()
    return text + b" " * (len(text) % 2)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    scans, bad = root / "scans", root / "bad"
    planted(scans / "a")
    planted(scans / "b", Modality="CT")
    broken(bad)
    source, geometry = small_series(root / "source", shape=(16, 16, 8), **MARKERS)
    (root / "labels").mkdir()
    write("dicom-seg", Labeled(some_labels(geometry), source, MODEL), root / "labels")
    arguments = {"features": [4, 8]}
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=arguments)
    card = tiny_card(network=NetworkCard(name="unet", arguments=arguments))
    package = write_package(root / "model", card, network.state_dict()).folder
    return {
        "i": scans, "b": bad, "l": root / "labels" / WRITERS["dicom-seg"].file_name, "s": root / "source", "m": package,
        "n": NOWHERE,
    }  # fmt: skip


def found_in(content: bytes) -> set[str]:
    lowered = content.lower()
    return {
        word for word in WORDS for code in ("utf-8", "utf-16-le", "utf-16-be") if word.lower().encode(code) in lowered
    }


class Watch(threading.Thread):
    """Looks at the titles of this process's children and at the temporary files while a verb runs."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(daemon=True)
        self.scratch, self.found, self.over = scratch, set(), threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            for child in psutil.Process().children(recursive=True):
                try:
                    self.found |= found_in(" ".join(child.cmdline()).encode())
                except psutil.Error:
                    continue
            for path in self.scratch.rglob("*"):
                self.found |= found_in(path.name.encode())
                try:
                    content = path.read_bytes() if path.is_file() else b""
                except OSError:
                    continue
                if b"DICM" not in content[:140]:
                    self.found |= found_in(content)
            time.sleep(0.05)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.replace(" ", "-"))
def test_no_marker_anywhere_it_must_not_be(world, tmp_path, capfd, monkeypatch, line):
    scratch, out = tmp_path / "tmp", tmp_path / "out"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    watch = Watch(scratch)
    watch.start()
    try:
        code = run([*(word.format(**world, o=out) for word in line.split()), "--debug"])
    finally:
        watch.over.set()
        watch.join()
        logging.getLogger("medseg").setLevel(logging.WARNING)
    assert code in (0, 2, 3, 4)
    said = capfd.readouterr()
    assert "this is a bug" not in said.err
    leaks = {"stdout": found_in(said.out.encode()), "stderr": found_in(said.err.encode()), "while it ran": watch.found}
    for path in tmp_path.rglob("*"):
        leaks[f"name of {path.name}"] = found_in(str(path.relative_to(tmp_path)).encode())
        content = path.read_bytes() if path.is_file() else b""
        if b"DICM" in content[:140]:
            if "deidentify" in line:
                leaks[path.name] = found_in(content)
        else:
            leaks[path.name] = leaks.get(path.name, set()) | found_in(content)
        if path.suffix == ".db":
            with sqlite3.connect(path) as database:
                leaks["MLflow"] = found_in("\n".join(database.iterdump()).encode())
    excerpt = [row for row in (said.err + said.out).splitlines() if found_in(row.encode())][:4]
    assert {place: words for place, words in leaks.items() if words} == {}, excerpt
