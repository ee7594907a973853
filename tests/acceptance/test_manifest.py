"""Predicting what a manifest lists leaves the bytes that predicting its folder leaves, and does not search."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def content(out: Path) -> dict[str, bytes]:
    """Every file of every case."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("*/*")) if path.is_file()}


@pytest.mark.slow
def test_a_manifest_leaves_what_its_folder_leaves(
    medseg: Callable[..., "subprocess.CompletedProcess[str]"], scans: Path, quick: tuple[str, ...], tmp_path: Path
) -> None:
    manifest = tmp_path / "cases.csv"
    scans = Path(shutil.copytree(scans, tmp_path / "scans"))  # one is changed below
    assert medseg("inspect", scans, "--model", "hippocampus", "--manifest", manifest).returncode == 3
    of_folder = medseg("predict", scans, "--model", "hippocampus", "--out", tmp_path / "a", *quick)
    listed = ("--manifest", manifest, "--model", "hippocampus", "--out", tmp_path / "b", *quick)
    of_manifest = medseg("predict", *listed)
    assert (of_manifest.returncode, content(tmp_path / "b")) == (of_folder.returncode, content(tmp_path / "a"))
    assert len(content(tmp_path / "a")) > 10
    again = medseg("predict", *listed)
    assert "up to date" in again.stderr
    changed = next(path for path in scans.rglob("left-hippocampus.nii.gz"))
    changed.write_bytes(changed.read_bytes()[:-1])
    assert "bytes are not those that the manifest lists" in medseg("predict", *listed).stderr
    # Scans that are out of sight cost nobody what was made of them.
    scans.rename(tmp_path / "away")
    before = content(tmp_path / "b")
    gone = medseg("predict", *listed)
    assert content(tmp_path / "b") == before
    assert "is not there; what was made of it before is kept" in gone.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the served folder is a process of its own")
def test_scans_are_fetched_from_a_server(
    medseg: Callable[..., "subprocess.CompletedProcess[str]"], scans: Path, quick: tuple[str, ...], tmp_path: Path
) -> None:
    pytest.importorskip("aiohttp", reason="fetching needs the extra: remote")
    manifest = tmp_path / "cases.csv"
    medseg("inspect", scans, "--manifest", manifest, "--root", scans)
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(scans)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split("(")[1].split(")")[0].rstrip("/")
        listed = ("--manifest", manifest, "--root", address, "--model", "hippocampus", "--out", tmp_path / "b", *quick)
        ended = medseg("predict", *listed)
        server.terminate()
    assert ended.returncode == 3, ended.stderr
    assert "left-hippocampus\tdone" in ended.stdout
