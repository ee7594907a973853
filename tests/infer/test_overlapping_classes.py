"""Classes that may share voxels are each what a model of that class alone would find, and are counted so."""

import csv
import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
from networks_for_tests import Analytic, FakePackage, Resident, smooth, tiny_card
from small_series import small_series

import medseg
from medseg.engine.stages.objects import CleanUp, Components
from medseg.errors import ConfigError, FormatLimitation, ModelError
from medseg.infer.labeling import Labeling
from medseg.infer.on_device import label_on_device
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.sliding_window import WindowOptions
from medseg.io.read import load_scan, read_any_labels
from medseg.models.card import PostCard
from medseg.models.validation_card import ValidationCard
from medseg.prepare.card import ChannelCard, InputCard, NormalizationCard
from medseg.review.opening import open_store
from medseg.types import Geometry, Prediction, Scan, Source
from medseg.types.stage import RunContext

REGIONS = (1, 2, 3)  # the class of each output
NAMES = ("whole", "core", "vessel")
SCAN = Scan(smooth((20, 26, 18))[None], Geometry(np.diag([0.8, 1.3, 2.0, 1.0]), (20, 26, 18)), source=Source("array"))


def scores_of(*outputs):
    """A network with outputs that overlap: a large blob, a smaller one inside, and one across both."""

    def function(windows):
        value = windows[:, 0]
        every = [value - 8, value - 16, 6 - abs(value - 17)]
        return np.stack([every[index] for index in outputs], axis=1)

    return function


def package(regions=REGIONS, **changes):
    plain = (ChannelCard(name="c0", normalization=NormalizationCard(scheme="none")),)
    given = InputCard(channels=plain, patch=(16, 16, 16), spacing=(1.0, 1.0, 1.0))
    names = NAMES[: len(regions or NAMES)]
    return FakePackage(None, tiny_card("analytic", names, regions=regions, input=given, **changes))


def segment(found, outputs, **options):
    return Predictor(found, InferOptions(mirror="none", **options), engine=Analytic(scores_of(*outputs))).segment(SCAN)


@pytest.fixture(scope="module")
def together() -> Prediction:
    return segment(package(overlapping=True), (0, 1, 2), probabilities=True)


def test_each_class_is_that_of_a_model_of_it_alone(together):
    assert together.overlapping.overlap
    for output, value in enumerate(REGIONS):
        alone = segment(package((1,)), (output,), probabilities=True)
        assert np.array_equal(together.overlapping.mask(value), alone.labels.array == 1), value
        assert np.array_equal(together.probabilities[output], alone.probabilities[0])
        assert together.uncertainty[value].boundary_entropy == pytest.approx(alone.uncertainty[1].boundary_entropy)


def test_on_a_device_the_same_classes_are_found(together, monkeypatch):
    def on_device(self, offset, out):
        options = WindowOptions((16, 16, 16))
        label_on_device(
            self.prepared.array, Resident(scores_of(0, 1, 2)), self.maps, offset, self.decision, out, options
        )
        return True

    monkeypatch.setattr(Labeling, "_on_device", on_device)
    got = segment(package(overlapping=True), (0, 1, 2)).overlapping
    for value in REGIONS:
        assert (got.mask(value) != together.overlapping.mask(value)).mean() < 1e-3


def test_without_the_word_regions_are_folded_as_ever():
    folded = segment(package(), (0, 1, 2))
    assert folded.overlapping is None
    whole = segment(package(overlapping=True), (0, 1, 2)).overlapping
    expected = np.zeros(SCAN.geometry.shape, int)
    for value in REGIONS:
        expected[whole.mask(value)] = value
    assert np.array_equal(folded.labels.array, expected)


def test_a_user_may_keep_or_fold_them(together):
    kept = segment(package(), (0, 1, 2), regions="keep")
    assert np.array_equal(kept.overlapping.combinations, together.overlapping.combinations)
    folded = segment(package(overlapping=True), (0, 1, 2), regions="fold")
    assert folded.overlapping is None
    assert np.array_equal(folded.labels.array, segment(package(), (0, 1, 2)).labels.array)
    for changes, reason in (({"regions": None}, "need `regions`"), ({"regions": (3, 1, 2)}, "ascending")):
        with pytest.raises(ConfigError, match=f"cannot be kept: .*{reason}"):
            segment(package(**changes), (0, 1, 2), regions="keep")


def test_volumes_on_the_card_are_those_of_results_as_the_card_makes_them():
    known = ValidationCard(split="x", cases=1, dice={"a": 0.5}, mean_dice=0.5, volume_range_ml={"a": (1.0, 2.0)})
    for overlapping, regions, compared in (
        (False, "auto", True),
        (False, "keep", False),
        (True, "auto", True),
        (True, "fold", False),
    ):
        own = package(overlapping=overlapping, validation=known)
        found = segment(own, (0, 1, 2), regions=regions).volume_range_ml
        assert found == ({"a": (1.0, 2.0)} if compared else {}), (overlapping, regions)


def test_a_byte_holds_seven_classes_and_fifteen_are_the_most():
    def many(windows):
        return np.stack([windows[:, 0] - n for n in range(15)], axis=1)

    card = tiny_card(
        "many", [f"c{n}" for n in range(15)], regions=tuple(range(1, 16)), overlapping=True, input=package().card.input
    )
    found = Predictor(FakePackage(None, card), InferOptions(mirror="none"), engine=Analytic(many)).segment(SCAN)
    assert found.overlapping.combinations.dtype == np.uint16
    counts = found.overlapping.counts()
    assert all(counts[value] > counts[value + 1] for value in range(1, 15))
    with pytest.raises(ValueError, match="at most 15 classes may overlap, not 16"):
        tiny_card("more", [f"c{n}" for n in range(16)], regions=tuple(range(1, 17)), overlapping=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"regions": None}, "need `regions`"),
        ({"regions": (2, 1)}, "ascending values in the order of the outputs"),
        ({"post": (PostCard(stage="components"),)}, "`components` makes objects of one class for each voxel"),
    ],
)
def test_cards_of_what_needs_one_class_a_voxel_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        tiny_card("wrong", ("a", "b"), **{"regions": (1, 2), "overlapping": True, **changes})


def test_a_cascade_is_shown_one_class_a_voxel():
    class Stage(FakePackage):
        low_resolution_stage = package(overlapping=True)

    with pytest.raises(ModelError, match="low-resolution stage overlap"):
        Predictor(Stage(None, package().card), InferOptions(), engine=Analytic(scores_of(0)))


def test_clean_up_is_of_each_class_alone_and_objects_are_refused(together, tmp_path):
    context = RunContext(tmp_path, "case")
    rules = [{"rule": "keep_largest", "classes": ["vessel"]}]
    cleaned = CleanUp(CleanUp.Options(rules=rules)).run(together, context)
    alone = together.overlapping.alone(together.labels.table.classes[2])
    wanted = CleanUp.Options(rules=[{"rule": "keep_largest"}]).rules[0].apply(alone)
    assert np.array_equal(cleaned.overlapping.mask(3), wanted.array == 3)
    assert all(np.array_equal(cleaned.overlapping.mask(v), together.overlapping.mask(v)) for v in (1, 2))
    with pytest.raises(FormatLimitation, match="one class for each voxel"):
        Components(Components.Options()).run(together, context)


def test_a_batch_counts_and_writes_each_class_whole(make, tmp_path):
    made = make(regions=(1, 2), overlapping=True)
    source, _ = small_series(tmp_path / "in", shape=(24, 20, 10), spacing=(1.0, 1.0, 1.5))
    random = np.random.default_rng(0)
    for path in source.files:
        header = pydicom.dcmread(path)
        header.PixelData = (100 + random.integers(0, 50, (20, 24))).astype(np.uint16).tobytes()
        header.save_as(path)
    formats = "nifti,nrrd,dicom-seg,dicom-seg-fractional,rtstruct,sr"
    how = {"anyway": True, "save": "probabilities", "engine": "torch", "format": formats}
    medseg.predict(tmp_path / "in", made.folder, tmp_path / "out", **how)
    (folder,) = (path.parent for path in (tmp_path / "out").glob("*/status.json"))
    array = np.asarray(nib.load(folder / "labels.nii.gz").dataobj)
    assert array.shape == (24, 20, 10, 2)
    voxels = {"a": int(array[..., 0].sum()), "b": int(array[..., 1].sum())}
    assert (array.sum(axis=-1) == 2).any()
    status = json.loads((folder / "status.json").read_text())
    assert {name: figures["voxels"] for name, figures in status["volumes"].items()} == voxels
    volumes = {name: count * 1.5 / 1000 for name, count in voxels.items()}
    for name, measured in status["read_back"].items():
        assert measured.get("dice", {"a": 1, "b": 1}) == {"a": 1, "b": 1}, name
    assert status["read_back"]["labels.sr.dcm"]["volume_ml"] == pytest.approx(volumes, rel=1e-5)
    rows = list(csv.DictReader((folder / "measurements.csv").open()))
    assert {row["class"]: int(row["voxels"]) for row in rows} == voxels
    scan = load_scan(tmp_path / "in")
    inside = scan.array[0][array[..., 1] > 0]
    assert float(rows[1]["mean"]) == pytest.approx(float(inside.mean()), rel=1e-4)
    for name in ("labels.seg.nrrd", "labels.seg.dcm"):
        back = read_any_labels(folder / name)
        assert {entry.name: back.counts()[entry.value] for entry in back.table} == voxels, name
    fractions = read_any_labels(folder / "labels.fractional.dcm").counts()
    # Steps of a byte move what lies at one half.
    assert list(fractions.values()) == pytest.approx(list(voxels.values()), abs=20)
    probabilities = np.asarray(nib.load(folder / "probabilities.nii.gz").dataobj)
    assert ((probabilities > 0.505) <= array).all()
    assert ((probabilities < 0.495) <= (array == 0)).all()
    assert (folder / "preview.png").stat().st_size > 1000
    found = medseg.load_model(made.folder, engine="torch").segment(tmp_path / "in", anyway=True)
    assert np.array_equal(np.asarray(found.to_nibabel().dataobj), array)
    assert found.overlapping.counts() == dict(enumerate(voxels.values(), start=1))
    with open_store(tmp_path / "out", create=True, scans=[tmp_path / "in"]) as store:
        (case,) = store.cases()
        with pytest.raises(FormatLimitation, match="classes may overlap, one in each channel"):
            store.labels(case)
