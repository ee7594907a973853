"""Models of every kind nnU-Net makes, built, saved and run by nnU-Net itself; labels agree on 99.9% of voxels.

`python benchmarks/peer_environments.py nnunet` installs it into an environment of its own.
"""

import subprocess
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.nifti import read_labels, read_scan
from medseg.models.importing import import_model
from medseg.models.package import load_package
from medseg.models.zipping import write_zip
from medseg.types import ModelIdentity, Prediction

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]
PYTHON = Path(__file__).resolve().parents[2] / "build" / "peers" / "nnunet" / "bin" / "python"


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    if not PYTHON.is_file():
        pytest.skip("nnunet is not installed (python benchmarks/peer_environments.py nnunet)")
    out = tmp_path_factory.mktemp("nnunet")
    script = Path(__file__).with_name("nnunet_peer.py")
    done = subprocess.run([PYTHON, script, out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.parametrize("configuration", ["2d", "3d_lowres"])
@pytest.mark.parametrize("dataset", ["Dataset001_Plain", "Dataset002_Residual"])
def test_labels_agree(peer, tmp_path, dataset, configuration):
    package = import_model(peer / "results" / dataset, "theirs", configuration=configuration)
    check(predictor_of(package), peer, dataset, configuration, 0.999)


@pytest.mark.parametrize("dataset", ["Dataset001_Plain", "Dataset002_Residual"])
def test_cascades_of_two_folds_agree(peer, tmp_path, dataset):
    """Given nnU-Net's own low-resolution stage, as closely as other models; given ours, these untrained networks, whose
    margins are next to nothing, make more of the few voxels in which the first passes differ."""
    package = import_model(peer / "results" / dataset, "theirs", configuration="3d_cascade_fullres")
    predictor = predictor_of(package)
    check(predictor, peer, dataset, "3d_cascade_fullres", 0.99)
    predictor.low_resolution_stage = TheirFirstPass(peer / "predictions" / dataset / "3d_lowres")
    check(predictor, peer, dataset, "3d_cascade_fullres", 0.999)


class TheirFirstPass:
    def __init__(self, folder):
        self.folder = folder

    def segment(self, scan):
        labels = read_labels(self.folder / scan.source.files[0].name.replace("_0000", ""))
        return Prediction(labels, ModelIdentity("theirs", "1", "0" * 64))


def test_a_cascade_in_an_exported_zip_and_from_a_zip_of_ours(peer, tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in (peer / "results" / "Dataset001_Plain").rglob("*"):
            archive.write(path, path.relative_to(peer / "results"))
    package = import_model(tmp_path / "export.zip", "theirs", configuration="3d_cascade_fullres")
    assert package.low_resolution_stage is not None
    assert package.card.ensemble_members == 2
    write_zip(package, tmp_path / "ours.zip")
    check(predictor_of(load_package(tmp_path / "ours.zip")), peer, "Dataset001_Plain", "3d_cascade_fullres", 0.99)


def predictor_of(package):
    return Predictor(package, InferOptions(engine="torch", device="cpu", mirror="none"))


def check(predictor, peer, dataset, configuration, least):
    for path in sorted((peer / "scans").glob("*.nii.gz")):
        expected = np.asanyarray(
            nib.load(peer / "predictions" / dataset / configuration / path.name.replace("_0000", "")).dataobj
        )
        got = predictor.segment(read_scan(path)).labels.array
        assert len(np.unique(expected)) > 2
        assert np.mean(got == expected) >= least, (dataset, configuration, path.name)
