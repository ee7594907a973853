"""TotalSegmentator's own code and medseg on the same weights folder; labels agree on 99.95% of voxels.

`python benchmarks/peer_environments.py totalsegmentator` installs it into an environment of its own.
"""

import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import totalsegmentator_networks as networks
from scipy.ndimage import gaussian_filter

import medseg
from medseg.models.importing import import_model

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]
PYTHON = Path(__file__).resolve().parents[2] / "build" / "peers" / "totalsegmentator" / "bin" / "python"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    if not PYTHON.is_file():
        pytest.skip("totalsegmentator is not installed (python benchmarks/peer_environments.py totalsegmentator)")
    home = tmp_path_factory.mktemp("totalsegmentator")
    for number in (291, 292, 293, 294, 295, 297):
        networks.write(home / "nnunet" / "results", number, base=8, stages=3, patch=32)
    values = gaussian_filter(np.random.default_rng(0).normal(size=(96, 88, 64)), 2) * 9000
    affine = np.array([[-0.9, 0, 0, 50], [0, 0, 1.4, -30], [0, 1.1, 0, 20], [0, 0, 0, 1.0]])  # L, S, A
    nib.save(nib.Nifti1Image(values.astype(np.int16), affine), home / "scan.nii.gz")
    return home


@pytest.mark.parametrize("mode", ["normal", "fast"])
def test_labels_agree(home, mode):
    out = home / f"{mode}.nii.gz"
    script = Path(__file__).with_name("totalsegmentator_peer.py")
    done = subprocess.run([PYTHON, script, home, home / "scan.nii.gz", out, mode], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results = home / "nnunet" / "results"
    package = import_model(results if mode == "normal" else results / networks.FOLDERS[297], mode, out=home / mode)
    theirs = nib.load(out)
    expected = np.asanyarray(theirs.dataobj)
    assert len(np.unique(expected)) > (20 if mode == "normal" else 4)
    for engine in ("torch", "auto"):
        found = medseg.load_model(package.folder, engine=engine, device="cpu").segment(home / "scan.nii.gz")
        assert np.allclose(theirs.affine, found.labels.geometry.affine)
        same = expected == found.labels.array
        print(mode, engine, same.mean())
        assert same.mean() >= 0.9995
