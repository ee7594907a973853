"""A few bytes of a deflated DICOM file that stand for gigabytes are not unpacked, whoever reads them."""

import re
from pathlib import Path

import pydicom
import pytest
from small_series import small_series

import medseg
from medseg.errors import ResourceLimit
from medseg.io.dicom import inflated
from medseg.io.dicom.inflated import read_dicom
from medseg.io.discover import discover

READS = re.compile(r"\bdcmread\b")
# Where it is bounded before.
BOUNDED = {"io/dicom/inflated.py", "io/dicom/header.py", "service/received.py"}


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    source, _ = small_series(tmp_path / "in", shape=(4, 4, 1))
    dataset = pydicom.dcmread(source.files[0])
    dataset.PixelData = bytes(3 << 20)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    pydicom.dcmwrite(source.files[0], dataset, enforce_file_format=True)
    return source.files[0]


def test_what_inflates_to_too_much_is_refused(bomb, monkeypatch):
    assert len(read_dicom(bomb).PixelData) == 3 << 20
    monkeypatch.setattr(inflated, "largest_scan", lambda: 4 << 20)
    with pytest.raises(ResourceLimit, match="inflates to more than 1 MiB"):
        read_dicom(bomb)
    with bomb.open("rb") as stream, pytest.raises(ResourceLimit):
        read_dicom(stream)
    [left] = discover([bomb]).skipped
    assert "inflates to more than 1 MiB" in left.reason


def test_a_small_file_is_no_reason_to_spend_what_the_machine_has(bomb, monkeypatch):
    monkeypatch.setattr(inflated, "SMALLEST_BOUND", 1 << 20)
    size = bomb.stat().st_size
    assert 128 * size < 3 << 20
    with pytest.raises(ResourceLimit, match="inflates to more than 1 MiB"):
        read_dicom(bomb)
    monkeypatch.setattr(inflated, "MOST_INFLATED", (4 << 20) // size)
    assert len(read_dicom(bomb).PixelData) == 3 << 20


def test_no_file_is_read_without_that_bound():
    package = Path(medseg.__file__).parent
    reading = {str(path.relative_to(package)) for path in package.rglob("*.py") if READS.search(path.read_text())}
    assert reading == BOUNDED
