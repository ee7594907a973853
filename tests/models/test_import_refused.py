"""Packages that could not be used, or would not be the ones used, are refused when they are imported."""

import contextlib
import math
import os
import shutil
import warnings
import zipfile

import pytest
import torch
import yaml
from networks_for_tests import tiny_card

from medseg import resources
from medseg.errors import MedsegError, ModelError, UsageError
from medseg.models import unzip
from medseg.models.composite_card import GridCard
from medseg.models.importing import import_model
from medseg.models.package import load_package, write_package
from medseg.models.registry import network_of
from medseg.models.zipping import write_zip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def weights_of(card):
    return network_of(card).state_dict()


CARD = tiny_card("tiny").model_copy(
    update={"network": tiny_card().network.model_copy(update={"name": "unet", "arguments": {"features": [4, 8]}})}
)


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path / "package", CARD, weights_of(CARD))


@pytest.mark.parametrize("name", ["hippocampus", "Hippocampus"])
def test_a_name_that_a_model_of_medseg_has(package, name):
    with pytest.raises(UsageError, match="comes with medseg"):
        import_model(package.folder, name, overwrite=True)
    assert import_model(package.folder, "mine").folder == resources.store_folder() / "mine"


def test_a_folder_with_another_model_and_nothing_of_the_old_one_is_left(package, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(resources.models()["hippocampus"], out)
    with pytest.raises(UsageError, match=r"there is a model in it\. Choose another --out, or --overwrite"):
        import_model(package.folder, "mine", out=out)
    (out / "notes.txt").write_text("the user's own")
    with pytest.raises(UsageError, match=r"besides a model it holds 1 other file, such as notes\.txt"):
        import_model(package.folder, "mine", out=out, overwrite=True)
    (out / "notes.txt").unlink()
    assert import_model(package.folder, "mine", out=out, overwrite=True).card.name == "tiny"
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in package.folder.iterdir())
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "notes.txt").write_text("the user's own")
    assert import_model(package.folder, "mine", out=beside).folder == beside
    assert (beside / "notes.txt").is_file()


@pytest.mark.parametrize("is_good", [True, False])
def test_what_an_import_unpacked_is_gone_after_it(package, tmp_path, is_good):
    if not is_good:
        shutil.copytree(package.folder, tmp_path / "bad")
        (tmp_path / "bad" / package.card.weights_file).write_bytes(b"other")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in (tmp_path / "bad" if not is_good else package.folder).iterdir():
            archive.write(path, f"package/{path.name}")
        archive.writestr("package/more.bin", bytes(1000))
    with contextlib.nullcontext() if is_good else pytest.raises(ModelError) as refused:
        import_model(tmp_path / "a.zip", "mine")
    assert is_good or str(tmp_path / "a.zip") in str(refused.value)
    left = [path for path in resources.store_folder().parent.rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == (sorted(map(str, package.files())) if is_good else [])


def test_a_card_besides_that_of_a_package(package, tmp_path):
    (tmp_path / "card.yaml").write_text("limits: [none]\n")
    with pytest.raises(UsageError, match="a package of medseg has its own card"):
        import_model(package.folder, "mine", card=tmp_path / "card.yaml")


@pytest.mark.parametrize("members", [1, 2])
def test_weights_of_another_network(tmp_path, members):
    weights = weights_of(CARD)
    first = next(iter(weights))
    for spoil in ({first: torch.zeros(1)}, {"more": torch.zeros(1)}):
        every = {f"{n}.{key}" if members > 1 else key: w.clone() for n in range(members) for key, w in weights.items()}
        every |= {f"{members - 1}.{key}" if members > 1 else key: w for key, w in spoil.items()}
        card = CARD.model_copy(update={"ensemble_members": members})
        bad = write_package(tmp_path / "bad", card, every)
        with pytest.raises(ModelError, match="do not fit the network"):
            import_model(bad.folder, "mine")
    assert not (resources.store_folder() / "mine").exists()


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: torch.full_like(w, math.nan), "are not all finite numbers"),
        (lambda w: torch.full_like(w, math.inf), "are not all finite numbers"),
        (lambda w: w.to(torch.int64), "are of the type int64"),
    ],
)
def test_weights_that_are_no_numbers_of_a_network(tmp_path, members, change, words):
    weights = weights_of(CARD)
    every = {f"{n}.{key}" if members > 1 else key: w.clone() for n in range(members) for key, w in weights.items()}
    last = list(every)[-1]
    card = CARD.model_copy(update={"ensemble_members": members})
    bad = write_package(tmp_path / "bad", card, every | {last: change(every[last])})
    with pytest.raises(ModelError, match=words):
        import_model(bad.folder, "mine")


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    "path",
    [
        "locate.placement.correlation", "locate.region_checks.agreement", "locate.extent_mm.0", "locate.spacing_mm",
        "locate.regions.0.center_mm.0", "input.accepts.brightness_gray.0", "input.accepts.extent_factor",
        "result.volume_factor", "precisions.bfloat16.dice_drop.anterior hippocampus",
    ],
)  # fmt: skip
def test_a_limit_on_a_card_that_nothing_can_be_beyond_is_none(tmp_path, path, value):
    """No number is more or less than one that is none: what it should withhold would pass."""
    folder = tmp_path / "package"
    shutil.copytree(resources.models()["hippocampus"], folder)
    card = yaml.safe_load((folder / "model.yaml").read_text())
    inner = card
    *keys, last = (int(key) if key.isdigit() else key for key in path.split("."))
    for key in keys:
        inner = inner[key]
    inner[last] = value
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match=r"model\.yaml"):
        load_package(folder)


@pytest.mark.parametrize(("extent", "spacing"), [(36.0, 1e-9), (36.0, 1e-6), (10_000.0, 1.0), (36.0, 1e6)])
def test_a_crop_of_more_voxels_than_there_are_in_any(tmp_path, extent, spacing):
    folder = tmp_path / "package"
    shutil.copytree(resources.models()["hippocampus"], folder)
    card = yaml.safe_load((folder / "model.yaml").read_text())
    card["locate"] |= {"extent_mm": [extent] * 3, "spacing_mm": spacing}
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match=r"model\.yaml: locate"):
        load_package(folder)


@pytest.mark.parametrize("spacing", [1e-9, 0.0, 1e6, math.inf])
def test_a_grid_of_a_composite_that_no_scan_has(spacing):
    with pytest.raises(ValueError, match="spacing"):
        GridCard(spacing=(1.0, 1.0, spacing))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("input.spacing", [0.0, 1.0, 1.0]),
        ("input.spacing", [math.nan, 1.0, 1.0]),
        ("input.spacing", [1e30, 1.0, 1.0]),
        ("input.spacing", [1e6, 1.0, 1.0]),
        ("input.spacing", [1e-9, 1.0, 1.0]),
        ("input.patch", [16, 16, 0]),
        ("input.patch", [10**6, 16, 16]),
        ("network.arguments", {"features": [10**9, 8]}),
        ("network.arguments", {"features": [[math.inf]]}),
        ("ensemble_members", 10**9),
        ("classes.0.color", [256, 0, 0]),
        ("classes.0.value", 70_000),
        ("input.channels.0.normalization", {"scheme": "clip_zscore", "lower": 0, "upper": 1, "mean": 0, "std": 0}),
        ("input.channels.0.normalization", {"scheme": "rescale", "lower": 1, "upper": 1}),
        ("input.channels.0.normalization", {"scheme": "rescale", "lower": 0, "upper": 1e308}),
        ("input.channels.0.normalization", {"scheme": "percentiles", "lower": 99, "upper": 1}),
        ("input.channels.0.normalization.to", [0, 10**400]),
        ("input.channels.0.normalization", {"scheme": "clip_zscore", "lower": 0, "upper": 1, "mean": 0, "std": 1e-300}),
        ("input.channels.0.normalization", {"scheme": "rescale", "lower": 0, "upper": 1e-300}),
        ("input.crop_above", -1e308),
        ("input.expected_spacing", [[-1, 1, 1], [2, 2, 2]]),
        ("input.expected_spacing", [[1, 1, 3], [2, 2, 2]]),
        ("input.expected_extent_mm", [[50, 50, 50], [40, 60, 60]]),
        ("network.arguments", {"features": [math.nan]}),
        ("network.arguments", {"features": [10**400]}),
        ("classes.0.value", 0),
        ("classes.0.value", -1),
        ("classes.0.name", ""),
        ("training.cases", -1),
        ("training.border_mm", math.inf),
        ("training.border_mm", 0),
    ],
)
def test_impossible_numbers_on_a_card(package, path, value):
    card = yaml.safe_load((package.folder / "model.yaml").read_text())
    inner = card
    *keys, last = (int(key) if key.isdigit() else key for key in path.split("."))
    for key in keys:
        inner = inner[key]
    inner[last] = value
    (package.folder / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match=r"model\.yaml"):
        import_model(package.folder, "mine")


def test_classes_with_one_value(package):
    card = yaml.safe_load((package.folder / "model.yaml").read_text())
    card["classes"].append({**card["classes"][0], "name": "other"})
    (package.folder / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match="two classes have the value 1"):
        load_package(package.folder)


def test_classes_with_one_name(package):
    card = yaml.safe_load((package.folder / "model.yaml").read_text())
    card["classes"].append({**card["classes"][0], "value": 2})
    (package.folder / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match="two classes are called"):
        load_package(package.folder)


def test_what_was_wrong_is_quoted_in_a_line(package):
    card = yaml.safe_load((package.folder / "model.yaml").read_text())
    card["input"]["axis_order"] = [0, 0, 1]
    (package.folder / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match="axis_order") as caught:
        load_package(package.folder)
    assert len(str(caught.value)) < 400


def odd_zips(folder, package):
    """Zips that are no packages, by what is odd about them."""
    whole = folder / "whole.zip"
    write_zip(package, whole)
    content = whole.read_bytes()
    (folder / "cut.zip").write_bytes(content[: len(content) // 2])
    (folder / "tail.zip").write_bytes(content[-300:])
    with zipfile.ZipFile(folder / "twice.zip", "w") as archive:
        for name in ("a", "b"):
            archive.write(package.folder / "model.yaml", f"{name}/model.yaml")
    with zipfile.ZipFile(folder / "conflict.zip", "w") as archive:
        archive.writestr("model.yaml/x", "x")
        archive.writestr("model.yaml", "x")
    with zipfile.ZipFile(folder / "none.zip", "w") as archive:
        archive.writestr("zeros.bin", bytes(1 << 20))
    card, name = (package.folder / "model.yaml").read_bytes(), package.card.weights_file
    weights = (package.folder / name).read_bytes()
    link = zipfile.ZipInfo(f"p/{name}")
    link.external_attr = 0o120777 << 16
    for odd, entries in {
        "absolute.zip": [("p/model.yaml", card), (f"p/{name}", weights), ("/tmp/absolute", b"x")],
        "link.zip": [("p/model.yaml", card), (link, b"/etc/passwd")],
        "double.zip": [("p/model.yaml", b"name: x"), (f"p/{name}", weights), ("p/model.yaml", card)],
        "case.zip": [("p/model.yaml", card), (f"p/{name}", weights), ("p/Model.yaml", b"name: x")],
        "nested.zip": [("inner.zip", content)],
    }.items():
        with zipfile.ZipFile(folder / odd, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            for entry, inner in entries:
                archive.writestr(entry, inner)
    for odd, at, new in (
        ("encrypted.zip", 8, b"\x01\x00"),  # its flags
        ("unknown.zip", 10, b"\x63\x00"),  # its compression
        ("lies.zip", 24, b"\xff\xff\xff\x7f"),  # its size
        ("long.zip", 24, b"\xff\xff\xff\xff"),  # a size that a field which is not there would have
        ("far.zip", 42, b"\xff\xff\xff\x7f"),  # where it begins
    ):
        changed = bytearray(content)
        entry = content.index(b"PK\x01\x02") + at
        changed[entry : entry + len(new)] = new
        (folder / odd).write_bytes(changed)
    flipped = bytearray(content)
    flipped[60] ^= 0xFF
    (folder / "flipped.zip").write_bytes(flipped)
    return sorted({path.name for path in folder.glob("*.zip")} - {"whole.zip"})


def test_odd_zips_leave_nothing(package, tmp_path, home):
    names = odd_zips(tmp_path, package)
    assert len(names) == 16
    for name in names:
        with pytest.raises(MedsegError) as caught:
            import_model(tmp_path / name, "mine")
        assert len(str(caught.value).splitlines()) == 1, name
        with pytest.raises(MedsegError):
            load_package(tmp_path / name)
        assert not [path for path in home.rglob("*") if path.is_file()], name


def test_a_zip_that_the_disk_cannot_hold(package, tmp_path, home, monkeypatch):
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(package.folder / "model.yaml", "model.yaml")
        archive.writestr("zeros.bin", bytes(10 << 20))
    usage = shutil.disk_usage(tmp_path)._replace(free=15 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)
    with pytest.raises(MedsegError, match="MiB are free"):
        import_model(tmp_path / "large.zip", "mine")
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_an_import_that_is_killed_leaves_the_old_model_or_the_new_one(package, tmp_path, monkeypatch):
    import_model(package.folder, "mine")
    newer = write_package(tmp_path / "newer", CARD.model_copy(update={"version": "2"}), weights_of(CARD))
    copied = shutil.copyfile

    def killed(source, target):
        copied(source, target)
        if str(target).endswith("weights.safetensors"):
            os._exit(137)

    monkeypatch.setattr(shutil, "copyfile", killed)
    child = os.fork()
    if not child:
        import_model(newer.folder, "mine", overwrite=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137
    old = load_package("mine")
    assert old.card.version == "1"
    assert old.weights().keys() == weights_of(CARD).keys()
    monkeypatch.undo()
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    assert import_model(newer.folder, "mine", overwrite=True).card.version == "2"


def test_names_in_a_zip_that_cannot_be_read_are_none(tmp_path):
    (tmp_path / "a").write_bytes(b"PK\x05\x06" + bytes(18))
    assert unzip.zip_names(tmp_path / "a") == []
    assert unzip.zip_names(tmp_path) == []


def test_an_export_that_is_not_the_one_of_its_report(tmp_path):
    shutil.copytree(resources.models()["hippocampus"], tmp_path / "p")
    (tmp_path / "p" / "model.onnx").write_bytes(b"5" * 5000)
    with pytest.raises(ModelError, match="the ONNX file is not the one its report describes"):
        import_model(tmp_path / "p", "mine", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("input.patch", [4096, 4096, 4096], "voxels or fewer"),
        ("locate.pitch_degrees", 1e9, "pitch_degrees"),
        ("version", "1" * 1000, "version"),
    ],
)
def test_impossible_values_of_a_card(tmp_path, key, value, said):
    shutil.copytree(resources.models()["hippocampus"], tmp_path / "p")
    card = yaml.safe_load((tmp_path / "p" / "model.yaml").read_text())
    *within, last = key.split(".")
    place = card
    for part in within:
        place = place[part]
    place[last] = value
    (tmp_path / "p" / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match=said) as refused:
        import_model(tmp_path / "p", "mine", out=tmp_path / "out")
    assert "It was a value of type" not in str(refused.value)
