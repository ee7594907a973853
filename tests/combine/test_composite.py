"""Several models run as one give what they give one by one."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from combine_packages import composite, part

import medseg
from medseg.cli.app import run
from medseg.combine.predictor import CompositePredictor
from medseg.errors import MedsegError, ModelError, UsageError
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.verify import verify
from medseg.models.card import PostCard
from medseg.models.package import load_package
from medseg.models.public_copy import public_copy
from medseg.prepare.card import NormalizationCard
from medseg.types import Geometry, LabelMap, Scan
from medseg.types.axis_order import AxisOrder

TORCH = InferOptions(engine="torch", device="cpu", overlap=0.25)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    part(folder, "one", ("a", "b"), seed=1)
    part(folder, "two", ("c", "a"), seed=2)
    part(folder, "other", ("d",), seed=3, normalization=NormalizationCard(scheme="zscore"))
    return folder


@pytest.fixture(scope="module")
def scan():
    values = np.random.default_rng(0).normal(0, 60, (20, 22, 17)).astype(np.float32)
    return Scan(values[None], Geometry(np.diag([1.2, 1.5, 2.0, 1.0]), values.shape), "CT")


def alone(parts, name, scan):
    return Predictor(load_package(parts / name), TORCH).segment(scan).labels.array


def test_parts_are_laid_over_each_other_by_priority(parts, scan):
    """Classes of the same name are one class; the shared preparation is used, and no other is."""
    one, two, other = (alone(parts, name, scan) for name in ("one", "two", "other"))
    for number, (first, second) in enumerate([(0, 0), (1, 0)]):
        described = [{"model": "one", "priority": first}, {"model": "two", "priority": second}, {"model": "other"}]
        package = composite(parts, f"by-{number}", parts=described)
        assert [(c.value, c.name) for c in package.card.table] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
        predictor = CompositePredictor(package, TORCH)
        got = predictor.segment(scan).labels.array
        expected = np.zeros_like(one)
        layers = [(one, {1: 1, 2: 2}), (two, {1: 3, 2: 1}), (other, {1: 4})]
        for labels, values in layers if number == 0 else [layers[1], layers[2], layers[0]]:
            for own, value in values.items():
                expected[labels == own] = value
        assert len(np.unique(expected)) > 2
        assert np.array_equal(got, expected)
        assert len(predictor.loaded) == 3
        assert np.array_equal(predictor.segment(scan).labels.array, got)  # by networks that stayed loaded
        assert predictor.shared.reused == 2 * (1 - number)  # parts that follow each other and want the same


@pytest.mark.parametrize(
    ("values", "table"),
    [
        ({"a": "aorta", 2: "vein"}, [(1, "aorta"), (2, "vein"), (3, "c"), (4, "a")]),
        ({1: "both", "b": "both"}, [(1, "both"), (2, "c"), (3, "a")]),
        ({"b": "b"}, [(1, "b"), (2, "c"), (3, "a")]),
        ({"a": 7, "b": 1}, [(1, "b"), (2, "c"), (7, "a")]),
    ],
)
def test_values_name_the_classes_where_no_table_is_given(parts, values, table):
    name = "named-" + "-".join(map(str, values.values()))
    package = composite(parts, name, parts=[{"model": "one", "values": values}, {"model": "two"}])
    assert [(c.value, c.name) for c in package.card.table] == table
    by_name = {called: value for value, called in table}
    own = {"a": 1, "b": 2, 1: 1, 2: 2}
    expected = {own[a]: b if isinstance(b, int) else by_name[b] for a, b in values.items()}
    assert package.card.composite.parts[0].values == expected


def test_on_a_shared_grid_axes_may_be_stored_in_any_order(parts, scan):
    package = composite(parts, "grid", parts=[{"model": "one"}, {"model": "two"}], grid={"spacing": 1.5})
    predictor = CompositePredictor(package, TORCH)
    expected = predictor.segment(scan).labels
    assert len(np.unique(expected.array)) > 2
    order = AxisOrder((2, 0, 1), (True, False, True))
    turned = scan.with_array(np.ascontiguousarray(order.apply(scan.array)), order.geometry(scan.geometry))
    assert np.array_equal(predictor.segment(turned).labels.array, order.apply(expected.array))


def test_a_box_grows_until_nothing_is_cut_off(parts, monkeypatch):
    """An organ much longer than what locates it is found whole; the network is not run on the whole scan for it."""
    seen = []

    class Threshold:
        """In the place of a network: what is bright, and how much of the scan was looked at."""

        def __init__(self, package, options, **_):
            self.package, self.options = package, options

        def segment(self, scan, scratch=None, *, on_windows=None):
            found = Predictor(self.package, TORCH).segment(scan)
            limit = 150 if self.package.card.name == "one" else 50
            seen.append((self.package.card.name, scan.geometry.shape))
            array = (scan.array[0] > limit).astype(np.uint8)
            return replace(found, labels=LabelMap(array, scan.geometry, found.labels.table))

    monkeypatch.setattr("medseg.combine.predictor.Predictor", Threshold)
    package = composite(
        parts,
        "located",
        parts=[{"model": "one", "values": {}}, {"model": "other", "values": {"d": "d"}}],
        classes=[{"value": 5, "name": "d"}],
        locator={"part": "one", "classes": ["a"], "margin_mm": 4},
    )
    values = np.random.default_rng(0).normal(0, 1, (1, 12, 12, 90)).astype(np.float32)
    values[:, 4:8, 4:8, 10:60] = 100
    values[:, 4:8, 4:8, 30:34] = 200
    scan = Scan(values, Geometry(np.eye(4), values.shape[1:]), "CT")
    found = CompositePredictor(package, TORCH).segment(scan)
    assert np.array_equal(found.labels.array == 5, values[0] > 50)
    assert seen[0] == ("one", (12, 12, 90))
    assert all(name == "other" for name, _ in seen[1:])
    assert [shape[2] for _, shape in seen[1:]] == [12, 52, 84]  # to both sides by 20, then to one by 40
    assert "around what one found" in " ".join(found.notes)
    nothing = CompositePredictor(package, TORCH).segment(Scan(values / 10, scan.geometry, "CT"))
    assert not nothing.labels.array.any()
    assert "one found nothing of what the other parts look around" in " ".join(nothing.warnings)


def test_the_verbs_take_it_as_one_model(parts, scan, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    (parts / "verbs.yaml").write_text(
        "title: Two parts as one\nlicense: {use: any}\nparts: [{model: one}, {model: two, values: {c: c}}]\n"
    )
    assert run(["models", "import", "--composite", str(parts / "verbs.yaml"), "--name", "both"]) == 0
    assert run(["models", "show", "both"]) == 0
    shown = capsys.readouterr().out
    assert "Parts         one: 2 classes" in shown
    assert "Use           Any use." in shown
    assert run(["models", "list"]) == 0
    assert "Two parts as one" in capsys.readouterr().out
    assert set(verify(load_package("both"), TORCH)) == {"package", "one", "two"}
    assert run(["models", "export", "both", "--out", str(tmp_path / "both.zip")]) == 0
    nib.save(nib.Nifti1Image(scan.array[0], scan.geometry.affine), tmp_path / "case.nii.gz")
    capsys.readouterr()
    command = ["predict", str(tmp_path / "case.nii.gz"), "--model", str(tmp_path / "both.zip"), "--out"]
    how = ["--engine", "torch", "--device", "cpu", "--overlap", "0.25"]
    assert run([*command, str(tmp_path / "out"), *how]) == 0, capsys.readouterr().err
    found = np.asanyarray(nib.load(tmp_path / "out" / "case" / "labels.nii.gz").dataobj)
    model = medseg.load_model("both", engine="torch", device="cpu", overlap=0.25)
    assert np.array_equal(found, model.segment(scan).labels.array)
    assert model.card.license.use == "any"
    # A part says nothing of its use, and what the file says does not speak for it.
    assert run([*command, str(tmp_path / "clinical"), "--clinical"]) == 2
    assert run([*command, str(tmp_path / "maps"), "--save", "entropy"]) == 2
    assert "no probabilities or entropy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"parts": [{"model": "nothing"}]}, "no model called 'nothing'"),
        ({"parts": [{"model": "one"}, {"model": "one"}]}, "two parts are called 'one'"),
        ({"parts": [{"model": "one", "values": {"liver": "a"}}]}, "no class 'liver'"),
        ({"parts": [{"model": "one", "values": {"a": "x", 1: "y"}}]}, "named twice"),
        ({"parts": [{"model": "one", "values": {"a": 0}}]}, "Omit the classes"),
        ({"parts": [{"model": "one", "values": {"a": 70000}}]}, "between 1 and 65535"),
        ({"parts": [{"model": "one", "values": {"a": 4, "b": 4}}]}, "the value 4 is given to 'a' and 'b'"),
        ({"parts": [{"model": "one"}], "classes": [{"value": 1, "name": "z"}]}, "no part gives the class 'z'"),
        ({"parts": [{"model": "one"}], "locator": {"part": "on", "classes": ["a"]}}, "Did you mean 'one'"),
        ({"parts": [{"model": "one"}, {"model": "mr"}]}, "takes MR and another part takes CT"),
        ({"parts": [{"model": "objects"}]}, "makes objects"),
        ({"parts": []}, "parts"),
        ({"parts": [{"model": "one"}], "colour": 1}, "colour"),
    ],
)
def test_what_cannot_be_a_composite(parts, description, words):
    if not (parts / "mr").exists():
        part(parts, "mr", ("m",), modality="MR")
        part(parts, "objects", ("o",), post=(PostCard(stage="components"),))
    with pytest.raises(MedsegError) as error:
        composite(parts, "refused", **description)
    assert words in str(error.value)
    assert not (parts / "refused-package").exists()


def test_a_part_that_was_exchanged_is_noticed(parts, tmp_path):
    package = composite(parts, "exchanged", parts=[{"model": "one"}])
    card = package.folder / "parts" / "one" / "model.yaml"
    card.write_text(card.read_text().replace("A model for tests", "Another"))
    with pytest.raises(ModelError, match="'one' is not the one the card describes"):
        CompositePredictor(load_package(package.folder), TORCH)
    with pytest.raises(UsageError, match="there is a model in it"):
        composite(parts, "exchanged", parts=[{"model": "one"}])


def test_a_copy_for_others_is_whole(parts, tmp_path):
    package = composite(parts, "copied", parts=[{"model": "one"}, {"model": "two"}])
    copy = public_copy(package, tmp_path / "copy")
    assert [part.card.name for part in load_package(copy.folder).parts] == ["one", "two"]
    with pytest.raises(ModelError, match="consists of other models and has no weights of its own"):
        package.weights()
