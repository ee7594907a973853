"""Zip archives: their scans are found as if they were folders; their tricks are refused."""

import struct
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from damage import cut_short, flip, overwrite
from dicom_phantom import check, grid, write_series

from medseg.errors import InputError, ResourceLimit
from medseg.io.discover import discover
from medseg.io.files import archive
from medseg.io.files.archive import unpack
from medseg.io.read import load_scan, read_scan


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


@pytest.fixture
def study(tmp_path):
    files = write_series(tmp_path / "series", grid())
    nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.int16), np.eye(4)), tmp_path / "T1.nii.gz")
    members = {f"study/CT/{n}": path.read_bytes() for n, path in enumerate(files)}
    members |= {"study/T1.nii.gz": (tmp_path / "T1.nii.gz").read_bytes(), "readme.txt": b"hello"}
    members |= {"__MACOSX/._T1.nii.gz": b"\0", "study/broken.nii": b"\0" * 40}
    (tmp_path / "in").mkdir()
    return zipped(tmp_path / "in" / "study.zip", members)


def test_scans_of_an_archive(study):
    for place in (study, study.parent):
        discovery = discover([place])
        assert [scan.case_id for scan in discovery.found] == [discovery.found[0].case_id, "T1"]
        check(read_scan(discovery.found[0]))
        assert {str(left.path.relative_to(study)): left.corrupt for left in discovery.skipped} == {
            "__MACOSX/._T1.nii.gz": False,
            "readme.txt": False,
            "study/broken.nii": True,
        }


def test_name_without_extension(study):
    study.rename(study.with_name("export"))
    assert len(discover([study.parent]).found) == 2


def test_names_in_two_archives(study):
    other = study.with_name("other.zip")
    other.write_bytes(study.read_bytes())
    zipped(other, {"study/T1.nii.gz": zipfile.ZipFile(study).read("study/T1.nii.gz")})
    ids = [scan.case_id for scan in discover([study.parent]).found]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("name", ["../evil.nii", "/evil.nii", "a/../../evil.nii", "..\\evil.nii", "C:\\evil.nii"])
def test_paths_that_lead_out(tmp_path, name):
    ((_, got),) = unpack(zipped(tmp_path / "a.zip", {name: b"x"}))
    assert isinstance(got, InputError)
    assert "leads outside" in str(got)
    assert not list(tmp_path.rglob("evil*"))


def test_two_files_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a", "1")
        packed.writestr("b", "2")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes().replace(b"b", b"a"))
    kinds = [type(got).__name__ for _, got in unpack(tmp_path / "a.zip")]
    assert kinds == ["PosixPath", "InputError"]


def test_bomb(tmp_path, monkeypatch):
    zipped(tmp_path / "a.zip", {"zeros.nii": bytes(50_000_000)})
    monkeypatch.setattr(archive, "SHARE_OF_DISK", 1e-6)
    with pytest.raises(ResourceLimit, match="it would unpack to 1 file of"):
        unpack(tmp_path / "a.zip")


def test_size_that_lies(tmp_path):
    """A directory entry that promises a thousand times what deflate can."""
    path = zipped(tmp_path / "a.zip", {"a.nii": bytes(1000)})
    overwrite(path, path.read_bytes().index(b"PK\x01\x02") + 24, struct.pack("<I", 100_000_000))
    with pytest.raises(InputError, match="impossible size"):
        unpack(path)


def test_encrypted(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.nii": bytes(1000)})
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        flip(path, path.read_bytes().index(magic) + at)
    assert "password" in (discover([path]).skipped[0].fix or "")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated(study, share):
    cut_short(study, share)
    with pytest.raises(InputError, match="damaged"):
        load_scan(study)


def test_member_with_a_wrong_checksum(study):
    flip(study, study.read_bytes().index(b"study/T1.nii.gz") + 60, 0xFF)
    left = {left.path.name: left for left in discover([study]).skipped}
    assert "cannot be unpacked" in left["T1.nii.gz"].reason
    assert left["T1.nii.gz"].corrupt


def test_an_archive_inside_an_archive_is_said_to_be_one(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"a.nii": b"x"}).read_bytes()
    (left,) = discover([zipped(tmp_path / "outer.zip", {"inner.zip": inner})]).skipped
    assert (left.reason, left.corrupt) == ("it is an archive inside an archive", True)
    assert "Unpack" in (left.fix or "")
