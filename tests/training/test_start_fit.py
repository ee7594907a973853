import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_files import volume

from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.errors import ConfigError
from medseg.models.card import ClassCard, ModelCard, NetworkCard
from medseg.models.training_card import TrainingCard
from medseg.prepare.card import ChannelCard, InputCard
from medseg.training.config import ClassConfig, FineTuningConfig
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions
from medseg.training.start_fit import check_start, class_names, output_rows
from medseg.types import LabelClass, LabelTable


def package(classes=("left ball", "right ball"), channels=(("MRI", "MR"),), regions=None, spacing=(1.0, 1.0, 1.0)):
    return ModelCard(
        name="parent",
        title="balls",
        classes=tuple(ClassCard(value=n, name=name) for n, name in enumerate(classes, 1)),
        regions=regions,
        input=InputCard(
            channels=tuple(ChannelCard(name=name, modality=modality) for name, modality in channels),
            spacing=spacing,
            patch=(16, 16, 16),
        ),
        network=NetworkCard(name="unet"),
        training=TrainingCard(data="x", license="x", cases=1, command="x", seed=0),
        weights_sha256="0" * 64,
    )


@pytest.fixture
def dataset(tmp_path):
    def make(classes=("left ball", "right ball"), channels=(("MRI", "MR"),), regions=None, spacing=1.0):
        path = volume(tmp_path / "a.nii.gz", np.zeros((4, 4, 4), np.float32), spacing=(spacing,) * 3)
        table = LabelTable(tuple(LabelClass(n, name) for n, name in enumerate(classes, 1)))
        cases = (DatasetCase("a", (path,) * len(channels), path),)
        return Dataset("x", Path(), "nnunet", tuple(Channel(*c) for c in channels), table, cases, regions=regions or {})

    return make


@pytest.mark.parametrize(
    ("classes", "given", "rows"),
    [
        (("left ball", "right ball"), {}, [0, 1, 2]),
        (("Right_Ball", "LEFT-ball"), {}, [0, 2, 1]),
        (("liver", "spleen"), {}, [0, None, None]),
        (("liver", "left ball", "spleen"), {"spleen": "right ball"}, [0, None, 1, 2]),
    ],
)
def test_outputs_are_matched_by_name_or_as_a_person_says(dataset, classes, given, rows):
    assert output_rows(package(), dataset(classes), given) == rows


@pytest.mark.parametrize(
    ("renamed", "given", "rows"),
    [
        ({"liver": "Left ball"}, {}, [0, 1, 2]),
        ({"liver": "organ"}, {}, [0, None, 2]),
        ({"liver": "left ball"}, {"liver": "right ball"}, [0, 2, 2]),
        ({"right ball": "the right one"}, {}, [0, None, 2]),
    ],
)
def test_names_that_a_recipe_gives_classes_are_those_of_the_package_that_it_made(dataset, renamed, given, rows):
    classes = {mine: ClassConfig(name=name) for mine, name in renamed.items()}
    names = class_names(package(), FineTuningConfig(classes=given), classes)
    assert output_rows(package(), dataset(("liver", "right ball")), names) == rows


def test_outputs_of_regions_are_matched_with_those_of_regions_only(dataset):
    parent = package(("whole", "core"), regions=(2, 1))
    regions = {1: (1, 2), 2: (2,)}
    assert output_rows(parent, dataset(("whole", "core"), regions=regions), {}) == [1, 0]
    assert output_rows(parent, dataset(("whole", "core")), {}) == [None] * 3
    assert output_rows(package(("whole", "core")), dataset(("whole", "core"), regions=regions), {}) == [None] * 2


def test_kinds_of_classes_and_spacings_that_differ_are_said(dataset, caplog):
    with caplog.at_level(logging.WARNING, logger="medseg.train"):
        check_start(package(), dataset(), FineTuningConfig())
        assert caplog.text == ""
        check_start(package(("a", "b"), regions=(1, 2)), dataset(("a", "b")), FineTuningConfig())
        assert "are regions that may overlap, the dataset's exclude each other" in caplog.text
        check_start(package(), dataset(("left ball", "liver")), FineTuningConfig())
        assert "has the classes left ball, right ball. New to it, and starting at random: liver." in caplog.text
        caplog.clear()
        check_start(package(), dataset(("left ball", "liver")), FineTuningConfig(classes={"liver": "right ball"}))
        assert caplog.text == ""
        renamed = {"liver": ClassConfig(name="right ball")}
        check_start(package(), dataset(("left ball", "liver")), FineTuningConfig(), renamed)
        assert caplog.text == ""
        check_start(package(), dataset(spacing=5.0), FineTuningConfig())
    assert "spacings of 1 x 1 x 1 mm; the first scan here has 5 x 5 x 5 mm" in caplog.text


T1_T2 = (("T1", "MR"), ("T2", "MR"))


@pytest.mark.parametrize(
    ("of_package", "of_dataset", "words"),
    [
        ((("MRI", "MR"),), T1_T2, "takes MRI (MR); the dataset has 2 channels (T1 (MR), T2 (MR))"),
        (T1_T2, T1_T2[::-1], "in another order"),
        (T1_T2, (("t1w", "MR"), ("t2w", "MR")), "fine_tuning.channels={t1w: T1, t2w: T2}"),
        ((("MRI", "MR"),), (("CT", "CT"),), "takes MRI (MR); the dataset has CT (CT)"),
    ],
)
def test_channels_that_differ_are_refused_with_what_the_package_needs(dataset, of_package, of_dataset, words):
    with pytest.raises(ConfigError) as refused:
        check_start(package(channels=of_package), dataset(channels=of_dataset), FineTuningConfig())
    assert words in str(refused.value)


def test_a_person_may_say_that_channels_fit(dataset):
    check_start(package(), dataset(channels=(("CT", "CT"),)), FineTuningConfig(channels={"CT": "MRI"}))
    given = FineTuningConfig(channels={"t1w": "T1", "t2w": "T2"})
    check_start(package(channels=T1_T2), dataset(channels=(("t1w", "MR"), ("t2w", "MR"))), given)
    check_start(package(), dataset(channels=(("scan", None),)), FineTuningConfig())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"classes": {"liver": "left ball"}}, "the dataset has no 'liver'"),
        ({"classes": {"left ball": "liver"}}, "the package has no 'liver'"),
        ({"channels": {"CT": "MRI"}}, "the dataset has no 'CT'"),
    ],
)
def test_a_mapping_of_what_is_not_there_is_refused(dataset, given, words):
    with pytest.raises(ConfigError, match=words):
        check_start(package(), dataset(), FineTuningConfig(**given))


def test_the_comparison_comes_before_the_audit(balls, tmp_path, monkeypatch):
    parent = SimpleNamespace(card=package(channels=(("CT", "CT"),)))
    monkeypatch.setattr("medseg.training.configure.resolve_model", lambda *_, **__: parent)
    options = TrainOptions(balls, tmp_path, None, epochs=1, device="cpu", start="parent")
    with pytest.raises(ConfigError, match=r"takes CT \(CT\); the dataset has MRI \(MR\)"):
        Configurator(options).config(tmp_path)
    assert not (tmp_path / "audit.json").exists()
