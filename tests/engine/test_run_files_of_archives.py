"""What was unpacked from a zip is recorded as it lies there: the temporary folder is gone afterwards."""

import json
import zipfile
from pathlib import Path

import pytest
from small_nifti import phantom, save

from medseg.engine.outcomes import explained
from medseg.engine.run_files import origins_of
from medseg.errors import InputError
from medseg.io.convert import convert
from medseg.io.discover import discover
from medseg.io.files.temporary import PREFIX
from medseg.types.run import CaseOutcome, Inputs


@pytest.fixture
def study(tmp_path: Path) -> Path:
    save(tmp_path / "a.nii.gz", phantom((20, 20, 20)))
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "study.zip", "w") as packed:
        packed.write(tmp_path / "a.nii.gz", "first/a.nii.gz")
        packed.write(tmp_path / "a.nii.gz", "b.nii.gz")
    return tmp_path / "in"


def test_in_the_table_of_sources(study):
    found = discover([study])
    places = [place for *_, place in origins_of(Inputs((study,)), found)]
    assert sorted(places) == ["study.zip/b.nii.gz", "study.zip/first/a.nii.gz"]


def test_beside_what_was_converted(study, tmp_path):
    convert([study], tmp_path / "out")
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "out").glob("*/conversion.json"))]
    text = json.dumps(records)
    assert "study.zip/b.nii.gz" in text
    assert "study.zip/first/a.nii.gz" in text
    assert "temporary" not in text


def test_a_file_that_lies_alone_is_its_own_place(study):
    (found,) = discover([study.parent / "a.nii.gz"]).found
    assert found.inside == ()
    assert found.places == found.files


def test_a_reason_names_no_temporary_folder():
    base = CaseOutcome("c", "pending", "MR, 32 slices")
    lacking = InputError("1 of 32 slices are missing", where=Path(f"/tmp/{PREFIX}abc"))
    assert explained(base, lacking).error == "1 of 32 slices are missing"
