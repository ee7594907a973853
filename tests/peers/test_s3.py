"""Scans in an object store: moto's server, which speaks S3, and s3fs, as `pip install 'medseg[remote]'` brings it."""

import csv
import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from page_commands import page_block
from small_series import small_series

from medseg.cli.app import run
from medseg.demo.scans import lay_out

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a server on loopback, and what s3fs finds it by."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    address = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    urlopen(Request(f"{address}/moto-api/reset", method="POST"))  # the buckets of the server before are still there
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1",
        "FSSPEC_S3_ENDPOINT_URL": address, "AWS_ENDPOINT_URL": address,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import s3fs

    files = s3fs.S3FileSystem(endpoint_url=address, skip_instance_cache=True)
    files.mkdir("scans")
    yield files
    server.stop()


def test_a_batch_reads_its_scans_from_s3_and_leaves_the_bytes_of_a_local_one(bucket, tmp_path: Path, capsys) -> None:
    local = tmp_path / "local"
    for name in ("one", "two"):
        small_series(local / "set 1" / name, shape=(40, 48, 40), PatientID=name)
    for path in (path for path in local.rglob("*") if path.is_file()):
        bucket.pipe(f"scans/in/{path.relative_to(local)}", path.read_bytes())
    manifest = local / "cases.csv"  # its paths are those below the root
    assert run(["inspect", str(local), "--manifest", str(manifest)]) == 0
    predict = ["predict", "--manifest", str(manifest), "--model", "hippocampus", "--device", "cpu"]
    assert run([*predict, "--anyway", "--out", str(tmp_path / "here")]) == 0
    root = ["--root", "s3://scans/in"]
    assert run([*predict, *root, "--anyway", "--out", str(tmp_path / "there")]) == 0
    here, there = (_files(tmp_path / name) for name in ("here", "there"))
    assert here == there
    assert sum(name.endswith("status.json") for name in here) == 2

    # A file that another one was put in the place of, and one that is gone: each case says so, and no other suffers.
    with manifest.open(newline="") as stream:
        rows = [*csv.DictReader(stream)]
    objects = sorted(name for name in bucket.find("scans/in") if "/one/" in name)
    bucket.pipe(objects[0], b"other bytes")
    capsys.readouterr()
    assert run([*predict, *root, "--anyway", "--out", str(tmp_path / "changed")]) == 3
    cases = {one["case_id"]: one for one in json.loads((tmp_path / "changed" / "run.json").read_text())["cases"]}
    assert len(rows) == len(cases) == 2
    assert sorted(one["state"] for one in cases.values()) == ["done", "failed"]
    bucket.rm("scans/in", recursive=True)
    bucket.invalidate_cache()
    assert run([*predict, *root, "--anyway", "--out", str(tmp_path / "gone")]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_the_command_of_the_page(bucket, tmp_path: Path, monkeypatch) -> None:
    (command,) = page_block(
        "docs/reference/manifest.md",
        "medseg predict --manifest cases.csv --root s3://bucket/scans --model hippocampus --out results",
    )
    monkeypatch.chdir(tmp_path)
    local = lay_out(tmp_path / "demo").folder / "research"
    (local / "interrupted-copy.nii.gz").unlink()
    assert run(["inspect", str(local), "--manifest", str(local / "cases.csv")]) == 0
    (local / "cases.csv").rename("cases.csv")
    bucket.mkdir("bucket")
    for path in local.iterdir():
        bucket.pipe(f"bucket/scans/{path.name}", path.read_bytes())
    assert run(command.words[1:]) == 0
    assert len([*tmp_path.glob("results/*/labels.nii.gz")]) == len([*local.iterdir()])


def _files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.parent != out}
