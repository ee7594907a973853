"""The table of formats: the docs say what it says, and notes are those of the labels at hand."""

import re
from pathlib import Path

import numpy as np
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.io.formats import WRITERS, Labeled, write
from medseg.types import Geometry, Source

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "writing.md"


def test_the_docs_list_every_format():
    rows = re.findall(
        r"^\| `([\w-]+)` \| `([^`]+)`[^|]* \|([^|]*)\|([^|]*)\|[^|]+\|$", PAGE.read_text(encoding="utf-8"), re.M
    )
    told = {name: (needs.strip() == "yes", about.strip()) for name, _, needs, about in rows}
    assert told == {name: (writer.needs_dicom, writer.about) for name, writer in WRITERS.items()}
    for name, file, _, _ in rows:
        stem, _, suffix = WRITERS[name].file_name.partition(".")
        assert file.startswith(f"{stem}.")
        assert file.endswith(suffix.rpartition(".")[2])


def test_notes_are_of_tilted_slices_and_missing_scores_only(tmp_path):
    source, geometry = small_series(tmp_path / "upright", shape=(16, 11, 6))
    labels = some_labels(geometry)
    probabilities = np.zeros((4, *geometry.shape), np.float32)
    for name in WRITERS:
        if name != "dicom-seg-objects":
            assert write(name, Labeled(labels, source, MODEL, probabilities=probabilities), tmp_path / name)[1] == ()
    (note,) = write("dicom-seg-fractional", Labeled(labels, source, MODEL), tmp_path)[1]
    assert "no probabilities" in note
    sheared = geometry.affine.copy()
    sheared[:3, 2] += (0, 1, 0)
    tilted = Labeled(some_labels(Geometry(sheared, geometry.shape)), Source("array"), MODEL)
    assert write("nrrd", tilted, tmp_path)[1] == ()
    (note,) = write("nifti", tilted, tmp_path)[1]
    assert note.startswith("labels.nii.gz: The slices are tilted")


def test_frames_that_begin_within_a_byte_are_said_to_be_drawn_wrong_by_ohif(tmp_path):
    source, geometry = small_series(tmp_path / "odd", shape=(13, 11, 6))
    item = Labeled(some_labels(geometry), source, MODEL)
    for name in ("dicom-seg", "sr"):
        (note,) = write(name, item, tmp_path)[1]
        assert note.startswith("labels.seg.dcm: ")
        assert "OHIF" in note
        assert "give it dicom-seg-fractional" in note
    for name in ("dicom-seg-labelmap", "rtstruct", "nrrd"):
        assert write(name, item, tmp_path)[1] == ()
