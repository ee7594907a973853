"""Whatever reading one file raises, in every verb: a failure of that file with a sentence, and nothing of its text."""

from pathlib import Path

import numpy as np
import pytest
from odd_functions import EVERY, error
from reviewed_dicom import make_dicom_results
from reviewed_results import make_results
from run_here import run_here
from small_nifti import phantom, save
from small_series import small_series

from medseg.io import itk, nifti
from medseg.isolation import apart
from medseg.review.opening import open_store
from medseg.service.node import check, receive

# One of each family of exceptions.
FAMILIES = ("KeyError", "MemoryError", "OSError", "PanicException", "RecursionError", "SystemExit", "ValueError")
LABELS = np.zeros((9, 11, 7), np.uint8)
LABELS[2:5, 2:6, 2:5] = 1


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    for name in ("bad", "later"):
        save(root / f"{name}.nii.gz", LABELS)
    save(root / "scan.nii.gz", phantom())
    make_results(root / "reviewed")
    with open_store(root / "reviewed" / "out", create=True) as store:
        for case in ("scan_0", "scan_1"):
            store.verdict(case, kind="accept", revision=0, who="Ada", reader="Ada")
            store.verdict(case, kind="accept", revision=0, who="Ben", reader="Ben")
    make_dicom_results(root / "dicom")
    small_series(root / "series")
    model = Path(__file__).parents[2] / "medseg" / "models" / "shipped" / "hippocampus"
    (root / "node.yaml").write_text(
        f"folder: node\naet: MEDSEG\nport: 11112\nrules: [{{model: {model}, send_to: [A]}}]\n"
        "destinations: {A: 'dicom://127.0.0.1:9/A'}\n"
    )
    return root


LINES = {
    "crop": "crop {p}/bad.nii.gz --around 0,0,0 --size 3,3,3 --out {o}/crop.nii.gz",
    "export": "export {p}/bad.nii.gz --format nrrd --out {o}",
    "follow": "follow {p}/bad.nii.gz {p}/later.nii.gz --registered --out {o}",
    "evaluate": "evaluate {p}/bad.nii.gz {p}/later.nii.gz --out {o}",
    "review import": "review import {p}/reviewed/out {p}/bad.nii.gz --case scan_0 --reviewer Cy",
    "review export": "review export {p}/reviewed/out --format nifti --reviewer Ada --out {o}",
    "review agreement": "review agreement {p}/reviewed/out --consensus majority --n-bootstrap 100 --out {o}",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_what_reading_raises_stays_with_the_file(place, tmp_path, monkeypatch, line):
    """Each kind in one verb, one of each family in all; they share the boundary."""

    def raises(*_: object, **__: object) -> None:
        raise error(name)

    for name in EVERY if line.startswith("crop") else FAMILIES:
        with monkeypatch.context() as patch:
            for function in ("read_scan", "read_labels", "read_any_labels"):
                patch.setattr(nifti, function, raises)
            ended = run_here(*line.format(p=place, o=tmp_path / "out").split())
        assert ended.returncode in (3, 4), (name, ended)
        assert "is a bug" not in ended.stderr, (name, ended.stderr)
        assert "Doe" not in ended.stderr + ended.stdout, (name, ended)


@pytest.mark.parametrize("name", EVERY)
def test_what_the_header_of_an_object_raises_stays_with_the_object(place, monkeypatch, name):
    """Of what arrives at a node, and of what `serve check` looks at."""

    def raises(*_: object, **__: object) -> None:
        raise error(name)

    monkeypatch.setattr(receive, "_identity", raises)
    assert receive.identity(b"") is None
    monkeypatch.setattr(check, "read_header", raises)
    ended = run_here("serve", "check", place / "node.yaml", place / "series")
    assert ended.returncode == 4
    assert "is a bug" not in ended.stderr
    assert "Doe" not in ended.stderr + ended.stdout


@pytest.mark.starts_workers  # which Python starts with what is put in its way
def test_a_crash_of_a_library_costs_one_file_in_every_verb(place, tmp_path, monkeypatch):
    """Also where a verb reads by itself, and no worker does."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'medseg.isolation.apart_worker' in ' '.join(sys.orig_argv):\n"
        "    import medseg.io.itk as itk\n"
        "    opened = itk._open\n"
        "    itk._open = lambda path, kind: os.kill(os.getpid(), signal.SIGSEGV) if 'bad' in str(path) "
        "else opened(path, kind)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.setattr(apart, "_helpers", {})  # none that was started before
    itk.write_labels(nifti.read_labels(place / "bad.nii.gz"), tmp_path / "bad.nrrd")
    for line in LINES.values():
        if "bad" not in line or "convert" in line:
            continue
        words = line.format(p=place, o=tmp_path / "out").replace(f"{place}/bad.nii.gz", f"{tmp_path}/bad.nrrd")
        ended = run_here(*words.split())
        assert ended.returncode in (3, 4), ended
        assert "SIGSEGV" in ended.stderr + ended.stdout, ended
