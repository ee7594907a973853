"""What tests of archives and of the node share: a certificate, and a scan as DICOM."""

import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medseg.demo.dicom import write_series
from medseg.demo.scans import lay_out
from medseg.types import Geometry


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """A certificate for loopback that vouches for itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    return file, key


@pytest.fixture(scope="session")
def crop(tmp_path_factory) -> Path:
    """A left hippocampus as DICOM."""
    pytest.importorskip("nilearn")
    folder = tmp_path_factory.mktemp("crop")
    lay_out(folder / "demo")
    image = nib.load(folder / "demo" / "research" / "left-hippocampus.nii.gz")
    array = np.asarray(image.dataobj).astype(np.int16)
    write_series(array, Geometry(image.affine, array.shape), folder / "dicom", description="Sag T1 3D")
    return folder / "dicom"
