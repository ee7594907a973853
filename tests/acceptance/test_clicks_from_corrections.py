"""From results to a model that takes clicks and learned from what readers corrected, by the command line."""

import nibabel as nib
import numpy as np
import pytest
import yaml
from tiny_dataset import make_case, tiny_config, write_config

from medseg.cli.app import run
from medseg.models.package import load_package
from medseg.review.opening import open_store
from medseg.types import LabelMap

NEW = range(20, 25)


def done(*words):
    assert run([str(word) for word in words]) == 0


@pytest.mark.slow
def test_accepted_corrections_teach_the_model_that_takes_clicks(balls, tmp_path):
    file = write_config(tmp_path / "config.yaml", epochs=10)
    done("train", balls, "--out", tmp_path / "automatic", "--config", file, "--device", "cpu")
    automatic, clicks = tmp_path / "automatic/model", tmp_path / "clicks/model"
    words = ("--interactive", "--config", file, "--device", "cpu")
    done("train", balls, "--out", tmp_path / "clicks", "--from", automatic, *words)
    (tmp_path / "scans").mkdir()
    for number in NEW:  # another scanner: darker, and noisier
        image, _ = make_case(number)
        noisy = 0.5 * image + np.random.default_rng(number).normal(0, 20, image.shape)
        nib.save(nib.Nifti1Image(noisy.astype(np.float32), np.eye(4)), tmp_path / f"scans/new_{number}.nii.gz")
    results = tmp_path / "results"
    done("predict", tmp_path / "scans", "--model", automatic, "--out", results, "--anyway")
    with open_store(results, create=True) as store:
        for number in NEW:
            labels, truth = store.labels(f"new_{number}"), make_case(number)[1]
            drawn = LabelMap(truth.astype(np.uint16), labels.geometry, labels.table)
            saved = store.save_labels(f"new_{number}", drawn, who="Ada", expected=0, origin="test")
            store.verdict(f"new_{number}", kind="accept", revision=saved.number, who="Ada")
    done("review", "export", results, "--out", tmp_path / "corrections", "--model", automatic)
    short = {key: value for key, value in tiny_config(epochs=2).items() if key not in ("input", "network")}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(short))
    words = ("--interactive", "--config", tmp_path / "short.yaml", "--device", "cpu")
    done("train", tmp_path / "corrections", "--out", tmp_path / "taught", "--from", clicks, *words)
    taught = load_package(tmp_path / "taught/model").card
    assert taught.training.parent == str(load_package(clicks).identity)
    assert set(taught.training.trained_on) > set(load_package(clicks).card.training.trained_on)
    assert taught.validation.cases >= 1
    assert set(taught.interactive.dice) == {"corrected", "from_nothing"}
