"""Whatever is wrong with a call, a Python user reads one sentence that says what, where and the fix."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from pydantic import ValidationError

import medseg
from medseg.types import LabelClass, LabelTable

FUNCTIONS = [name for name in medseg.__all__ if inspect.isfunction(getattr(medseg, name)) and name != "segment"]
NEEDED: dict[str, Any] = {"evaluations": ["is-not-there", "neither"], "format": "nifti"}
GRID = medseg.Geometry(np.eye(4), (8, 8, 8))
ARRAY = np.zeros((8, 8, 8), np.float32)
LABELS = ARRAY.astype(np.uint8)
TABLE = LabelTable((LabelClass(1, "node"),))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users name by mistake."""
    for name in ("empty", "evaluation", "dataset", "package"):
        (tmp_path / name).mkdir()
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "broken.nii.gz").write_bytes(b"broken")
    (tmp_path / "zero.nii").write_bytes(b"")
    (tmp_path / "bytes.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4broken")
    (tmp_path / "evaluation" / "per_case.csv").write_text("x\n")
    (tmp_path / "dataset" / "dataset.json").write_text("{}")
    (tmp_path / "package" / "model.yaml").write_text("a: 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("medseg.engine.bundle._pip", no_index)


def no_index(*_arguments: str) -> None:
    raise medseg.InputError("pip could not get every package", fix="Check its index.")


FILES = [
    *("empty", "evaluation", "dataset", "package", "text.txt", "broken.nii.gz", "zero.nii", "bytes.yaml", "broken.zip"),
    "is-not-there",
    "n" * 300,
]
WRONG = [None, 5, 1.5, True, [], [1], {}, b"x", object(), ARRAY, *FILES, *map(Path, FILES)]


def arguments() -> Iterator[Any]:
    for name in FUNCTIONS:
        for key in inspect.signature(getattr(medseg, name)).parameters:
            yield pytest.param(name, key, id=f"{name}-{key}")


def refused(call: Callable[[], object]) -> str:
    """What an error says; fails for one that is not meant for users. Empty where there is none."""
    try:
        call()
    except ValidationError as error:
        pytest.fail(f"pydantic's own error: {error}")
    except medseg.MedsegError as error:
        said = str(error)
    else:
        return ""
    assert "\n" not in said
    return said


@pytest.mark.parametrize(("name", "key"), list(arguments()))
def test_every_argument_of_every_function(name: str, key: str) -> None:
    function = getattr(medseg, name)
    needed = [one.name for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    for wrong in WRONG:
        if key == "processes" and isinstance(wrong, int):
            continue  # that many processes would start
        refused(lambda wrong=wrong: function(**{n: NEEDED.get(n, "is-not-there") for n in needed} | {key: wrong}))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: medseg.predict("x", "hippocampus", "out", overlap="a"), "medseg.predict: overlap: must be a number"),
        (lambda: medseg.predict(7, "hippocampus", "out"), "inputs: must be a list or text or a path, not 7"),
        (lambda: medseg.predict("x", "hippocampus", "out", settings="a=1"), "`settings` a=1: unknown key 'a'"),
        (lambda: medseg.convert("x", "out", format="dcm"), "format: must be nifti, nrrd or mha, not 'dcm'"),
        (lambda: medseg.train("x", "out", epochs=ARRAY), "epochs: must be a whole number, not a value of type ndarray"),
        (
            lambda: medseg.evaluate("x", "y", "out", tolerances=[0]),
            r"^medseg\.evaluate: tolerances: must be more than 0, not 0\. help\(medseg\.evaluate\) shows what each",
        ),
        (lambda: medseg.compare(["x", "y"], metrics="foo"), "'foo' is no metric. There are dice"),
        (lambda: medseg.load_model("n" * 300), "File name too long. Check the path"),
        (lambda: medseg.load_scan("empty"), "empty: there is no scan here"),
        (lambda: medseg.inspect(iter(["is-not-there"])), "is-not-there: there is no such file or folder"),
        (lambda: medseg.Geometry(np.eye(3), (8, 8, 8)), "not a finite 4x4 matrix"),
        (lambda: medseg.Geometry(np.full((4, 4), np.nan), (8, 8, 8)), "not a finite 4x4 matrix"),
        (lambda: medseg.Geometry(np.diag([1, 0, 1, 1]), (8, 8, 8)), "cannot be inverted"),
        (lambda: medseg.Geometry("affine", (8, 8, 8)), "does not consist of real numbers"),
        (lambda: medseg.Geometry([[1, 2], [3]], (8, 8, 8)), "does not consist of real numbers"),
        (lambda: medseg.Geometry(np.eye(4) * 1j, (8, 8, 8)), "does not consist of real numbers"),
        (lambda: medseg.Geometry(np.eye(4), (8.5, 8, 8)), r"must be whole numbers, not \(8.5, 8, 8\)"),
        (lambda: medseg.Geometry(np.eye(4), 8), "must be whole numbers, not 8"),
        (lambda: medseg.Geometry(np.eye(4), (8, -8, 8)), "three positive dimensions"),
        (lambda: medseg.Scan(torch.zeros(1, 8, 8, 8), GRID), "Scan, array: must be of type ndarray, not Tensor"),
        (lambda: medseg.Scan(ARRAY[None], np.eye(4)), "Scan, geometry: must be of type Geometry, not ndarray"),
        (lambda: medseg.Scan(ARRAY, GRID), "Give channels first"),
        (lambda: medseg.LabelMap(LABELS, GRID, {1: "node"}), "LabelMap, table: must be of type LabelTable, not dict"),
        (lambda: medseg.LabelMap(LABELS > 0, GRID, TABLE), "must be uint8 or uint16, not bool"),
    ],
)  # fmt: skip
def test_the_sentence(call: Callable[[], object], said: str) -> None:
    with pytest.raises(medseg.MedsegError, match=said):
        call()


IMAGES: dict[str, Any] = {
    "nothing": None,
    "number": 5,
    "2D": ARRAY[0],
    "5D": ARRAY[None, None],
    "text": np.array([["a"]]),
    "objects": np.array([None] * 8).reshape(2, 2, 2),
    "times": np.zeros((2, 2, 2), "M8[s]"),
    "complex": ARRAY * 1j,
    "not finite": ARRAY * np.nan,
    "empty": np.zeros((0, 8, 8)),
    "two channels": np.zeros((2, 8, 8, 8)),
    "ragged": [[[1, 2], [3]]],
    "sparse": torch.zeros(8, 8, 8).to_sparse(),
    "without values": torch.zeros(8, 8, 8, device="meta"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_in_memory(kind: str) -> None:
    model = medseg.load_model("hippocampus", device="cpu", engine="torch")
    assert refused(lambda: model.segment(IMAGES[kind]))
    assert refused(lambda: model.segment(IMAGES[kind], np.eye(4)))


def test_an_image_of_another_package() -> None:
    model = medseg.load_model("hippocampus", device="cpu", engine="torch")
    assert "does not say where" in refused(lambda: model.segment(torch.zeros(8, 8, 8)))
    assert "cannot be made of type object" in refused(lambda: model.segment(object(), np.eye(4)))
    assert "4x4" in refused(lambda: model.segment(nib.Nifti1Image(ARRAY, None)))
    assert refused(lambda: model.segment(nib.Nifti1Image(np.zeros(4), np.eye(4)), anyway=True)) == ""
    assert "4 dimensions" in refused(lambda: model.segment(sitk.Image([4, 4, 4, 4], sitk.sitkInt16)))
    assert "label map of SimpleITK" in refused(lambda: model.segment(sitk.Image([4, 4, 4], sitk.sitkLabelUInt8)))


def test_a_prediction_is_not_saved_or_drawn_as_nonsense() -> None:
    model = medseg.load_model("hippocampus", device="cpu", engine="torch")
    prediction = model.segment(ARRAY + 1, np.eye(4), anyway=True)
    for wrong in WRONG:
        if not isinstance(wrong, str | bytes | Path):
            assert refused(lambda wrong=wrong: prediction.save(wrong))
            assert refused(lambda wrong=wrong: prediction.plot(size=wrong))
    assert "format: must be one or more of" in refused(lambda: prediction.save("out", format="niftii"))
    assert "size: must be at least 16" in refused(lambda: prediction.plot(size=-1))
