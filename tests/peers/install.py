"""Installs what the tests marked `peers` need, as far as it may; each of them skips where its tool is missing.

Usage: python tests/peers/install.py

Debian packages are installed where this runs as root. OHIF's published build comes from the npm registry into `.peers/`
in the checkout; about 50 MB to fetch, 200 MB on disk.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

DEBIAN = {
    "Orthanc": "orthanc",
    "dciodvfy": "dicom3tools",
    "dsrdump": "dcmtk",
    "plastimatch": "plastimatch",
    "dcm2niix": "dcm2niix",
    "chromium": "chromium",
    "npm": "npm",
    "openssl": "openssl",
    "slurmctld": "slurm-wlm",
    "munged": "munge",
}
PLUGINS = {
    Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"): "orthanc-dicomweb",
    Path("/usr/share/orthanc/plugins/libOrthancGdcm.so"): "orthanc-gdcm",
}
OHIF = "3.13.2"
CACHE = Path(__file__).parents[2] / ".peers"


def main() -> int:
    """Install what is missing; say what could not be."""
    where = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    missing = [package for program, package in DEBIAN.items() if shutil.which(program, path=where) is None]
    missing += [package for file, package in PLUGINS.items() if not file.is_file()]
    if missing and not debian(missing):
        print(f"Not installed: {', '.join(missing)}. As root: apt-get install {' '.join(missing)}", file=sys.stderr)
    if not ohif():
        print(f"Not fetched: OHIF. Needs npm: npm pack @ohif/app@{OHIF}, unpacked into {CACHE}/ohif", file=sys.stderr)
    return 0


def debian(packages: list[str]) -> bool:
    """Install Debian packages; False where that is not ours to do, or fails."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return False
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode == 0


def ohif() -> bool:
    """Fetch OHIF's build where it is not there in this version."""
    final = CACHE / "ohif"
    described = final / "package" / "package.json"
    if described.is_file() and json.loads(described.read_text(encoding="utf-8"))["version"] == OHIF:
        return True
    if shutil.which("npm") is None:
        return False
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        command = ["npm", "pack", "--silent", f"@ohif/app@{OHIF}"]
        done = subprocess.run(command, cwd=temporary, stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            return False
        (archive,) = Path(temporary).glob("*.tgz")
        with tarfile.open(archive) as content:
            content.extractall(Path(temporary) / "ohif", filter="data")
        shutil.rmtree(final, ignore_errors=True)
        (Path(temporary) / "ohif").rename(final)
    return True


if __name__ == "__main__":
    sys.exit(main())
