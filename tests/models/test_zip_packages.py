import zipfile

import pytest
import torch
from networks_for_tests import tiny_card

from medseg import resources
from medseg.errors import InputError, ModelError, UsageError
from medseg.models.package import load_package, write_package
from medseg.models.unzip import extract
from medseg.models.zipping import write_zip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path / "package", tiny_card(), {"w": torch.arange(4.0)})


def test_a_package_survives_the_zip(package, tmp_path):
    for name in ("a.zip", "b.zip"):
        write_zip(package, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    again = load_package(tmp_path / "a.zip")
    assert again.hash == package.hash
    assert torch.equal(again.weights()["w"], torch.arange(4.0))
    assert load_package(tmp_path / "b.zip").folder == again.folder


def test_nothing_of_a_zip_is_kept_but_what_the_card_names(package, tmp_path):
    write_zip(package, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr(f"{package.card.name}/more.bin", bytes(1000))
        archive.writestr("beside/more.bin", bytes(1000))
    folder = load_package(tmp_path / "a.zip").folder
    kept = [path.relative_to(folder) for path in folder.parent.rglob("*") if path.is_file()]
    assert sorted(kept) == sorted(package.files())
    assert torch.equal(load_package(tmp_path / "a.zip").weights()["w"], torch.arange(4.0))


def test_damaged_weights_in_a_zip_are_not_kept(package, tmp_path):
    (package.folder / package.card.weights_file).write_bytes(b"other")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in package.folder.iterdir():
            archive.write(path, f"package/{path.name}")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        load_package(tmp_path / "a.zip")
    assert not [path for path in (resources.store_folder().parent / "unpacked").rglob("*") if path.is_file()]


def test_damaged_weights_are_not_zipped(package, tmp_path):
    (package.folder / package.card.weights_file).write_bytes(b"other")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        write_zip(package, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_zip_cannot_write_outside_its_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../outside.txt", "harm")
    with pytest.raises(InputError, match="leads outside"):
        extract(tmp_path / "evil.zip", tmp_path / "inside")
    assert not (tmp_path / "outside.txt").exists()


def test_what_is_no_package_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(UsageError, match="it is no zip"):
        load_package(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(UsageError, match="0 model packages"):
        load_package(tmp_path / "b.zip")
