"""Ends the node again and again while studies come in, and counts what was lost.

python benchmarks/bench_node_kills.py [--seconds 600] [--kills 10] [--series 12] [--out docs/benchmarks/node-kills.md]

Series of a hippocampus arrive one after the other by dcmtk's storescu, which is repeated for what was not acknowledged,
as senders do. The node is ended by SIGKILL at random moments, and Orthanc is stopped for 60 s in the middle. At the end
every object must be on the disk, byte by byte what was sent, and Orthanc must hold exactly one SEG for each series, to
whose keeping it has committed. Exit code 1 where anything is missing or there twice. Needs orthanc and dcmtk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from markdown import table, write
from pydicom.uid import generate_uid

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from peers.orthanc import free_port  # noqa: E402

from medseg.demo.dicom import write_series  # noqa: E402
from medseg.demo.scans import lay_out  # noqa: E402
from medseg.types import Geometry  # noqa: E402

ABOUT = (
    "By `python benchmarks/bench_node_kills.py`: series of a hippocampus, each a study of its own, arrive within "
    "{seconds:.0f} s by dcmtk's storescu, which sends again what was not acknowledged. The node is ended by SIGKILL at "
    "random moments and started again, and Orthanc is stopped for a while in the middle. Counted at the end, byte by "
    "byte."
)
STORESCU = "/usr/bin/storescu"  # pynetdicom has a program of the same name
LONGEST_STEP = 20.0  # seconds between two looks at the clock, for instance while a series is sent
AWAY = 60.0  # seconds that the archive is stopped


class Clock:
    """Seconds that this process ran: those in which it and its children were stopped do not count."""

    def __init__(self) -> None:
        self._ran, self._last = 0.0, time.monotonic()

    def seconds(self) -> float:
        now = time.monotonic()
        self._ran, self._last = self._ran + min(now - self._last, LONGEST_STEP), now
        return self._ran


class Archive:
    """Orthanc on ports of its own, which can be stopped and started again."""

    def __init__(self, folder: Path, node_port: int) -> None:
        self.folder, self.http, self.port = folder, free_port(), free_port()
        folder.mkdir()
        settings = {
            "Name": "kills", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http, "DicomPort": self.port, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomAlwaysAllowStore": True,
            "DicomModalities": {"node": ["MEDSEG", "127.0.0.1", node_port]},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin") or "Orthanc"]
            self.process = subprocess.Popen([*command, str(self.folder / "orthanc.json")], stdout=log, stderr=log)
        for _ in range(300):
            try:
                self.ask("/system")
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise SystemExit("Orthanc does not start")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=10) as answer:
            return json.load(answer)

    def segmented(self) -> Counter[str]:
        """How many SEG there are of each series."""
        found: Counter[str] = Counter()
        for one in self.ask("/instances?expand"):
            tags = self.ask(f"/instances/{one['ID']}/simplified-tags")
            if tags["Modality"] == "SEG":
                found[tags["ReferencedSeriesSequence"][0]["SeriesInstanceUID"]] += 1
        return found


def make(folder: Path, count: int) -> list[Path]:
    """Write series of one crop, each of a study of its own."""
    lay_out(folder / "demo")
    image = nib.load(folder / "demo" / "research" / "left-hippocampus.nii.gz")
    array = np.asarray(image.dataobj).astype(np.int16)
    write_series(array, Geometry(image.affine, array.shape), folder / "one", description="Sag T1 3D")
    made = []
    for number in range(count):
        out = folder / f"{number}"
        out.mkdir()
        study, uid = generate_uid(), generate_uid()
        for path in sorted((folder / "one").iterdir()):
            dataset = pydicom.dcmread(path)
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, uid
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            dataset.save_as(out / path.name)
        made.append(out)
    return made


def start(config: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with config.with_suffix(".log").open("ab") as log:
        command = [sys.executable, "-m", "medseg", "serve", "--config", str(config)]
        return subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment)


def pixels(folder: Path) -> dict[str, bytes]:
    return {str(d.SOPInstanceUID): d.PixelData for d in map(pydicom.dcmread, folder.rglob("*.dcm"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--series", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="node-kills-") as name:
        folder = Path(name)
        (folder / "in").mkdir()
        waiting = make(folder / "in", options.series)
        everything = list(waiting)
        port = free_port()
        archive = Archive(folder / "orthanc", port)
        config = folder / "node.yaml"
        keys = {
            "port": port, "http": None, "folder": "data", "quiet_seconds": 2, "callers": ["CT1"],
            "destinations": {"archive": f"dicom://127.0.0.1:{archive.port}/ORTHANC"},
            "rules": [{"when": {"SeriesDescription": "*T1*"}, "model": "hippocampus", "send_to": ["archive"]}],
        }  # fmt: skip
        config.write_text(json.dumps(keys))
        clock = Clock()
        moments = sorted(chance.uniform(5, 0.9 * options.seconds) for _ in range(options.kills))
        arrivals = [0.8 * options.seconds * number / options.series for number in range(options.series)]
        away, is_away = 0.4 * options.seconds, False
        node, kills, repeated = start(config), 0, 0
        while (now := clock.seconds()) < options.seconds:
            if moments and now > moments[0]:
                moments.pop(0)
                node.kill()
                node.wait()
                kills, node = kills + 1, start(config)
            if not is_away and away < now < away + AWAY:
                archive.stop()
                is_away = True
            elif is_away and now > away + AWAY:
                archive.start()
                is_away = False
            if waiting and now > arrivals[len(everything) - len(waiting)]:
                command = [STORESCU, "-aet", "CT1", "-aec", "MEDSEG", "+sd", "127.0.0.1", str(port), str(waiting[0])]
                done = subprocess.run(command, capture_output=True, check=False)
                if done.returncode == 0:
                    waiting.pop(0)
                else:
                    repeated += 1
            time.sleep(0.5)
        if is_away:
            archive.start()
        print(f"{kills} kills, {repeated} sendings repeated, {len(waiting)} series not sent")
        expected = {
            str(pydicom.dcmread(next(one.iterdir())).SeriesInstanceUID) for one in everything if one not in waiting
        }
        clock = Clock()
        status = [sys.executable, "-m", "medseg", "serve", "status", "--config", str(config), "--json", "--quiet"]
        while clock.seconds() < 300:
            said = json.loads(subprocess.run(status, capture_output=True, check=False).stdout)
            if said["deliveries"].get("archive", {}).get("committed") == len(expected):
                break
            time.sleep(2)
        found = archive.segmented()
        sent = {uid: data for one in everything if one not in waiting for uid, data in _sent(one).items()}
        kept = pixels(folder / "data" / "incoming")
        lost = [uid for uid, data in sent.items() if kept.get(uid) != data]
        print(f"{len(sent)} objects sent, {len(lost)} lost or changed, {len(kept) - len(sent)} too many")
        print(
            f"{len(expected)} series, {len(expected - found.keys())} without SEG, SEGs each: {sorted(found.values())}"
        )
        print(f"jobs {said['jobs']}; deliveries {said['deliveries']}")
        node.kill()
        archive.stop()
        good = not lost and not waiting and found == Counter(dict.fromkeys(expected, 1))
        if options.out is not None:
            segs = found.total() - sum(found[uid] for uid in expected)
            once = sum(found[uid] == 1 for uid in expected)
            figures = {
                "kills (SIGKILL)": kills,
                "seconds that Orthanc was stopped": f"{AWAY:.0f}",
                "series sent": f"{len(expected)} of {len(everything)}",
                "sendings repeated, because nothing was acknowledged": repeated,
                "objects sent": len(sent),
                "objects lost or changed": len(lost),
                "objects too many": len(kept) - len(sent),
                "series with exactly one SEG in Orthanc": f"{once} of {len(expected)}",
                "other SEGs": segs,
                "SEGs to whose keeping Orthanc has committed": said["deliveries"]
                .get("archive", {})
                .get("committed", 0),
            }
            write(
                options.out,
                "The node, killed again and again",
                [ABOUT.format(seconds=options.seconds), table(["counted"], _rows(figures))],
            )
        if not good:
            print(config.with_suffix(".log").read_text())
    return 0 if good else 1


def _rows(figures: dict[str, Any]) -> dict[str, list[Any]]:
    return {label: [value] for label, value in figures.items()}


def _sent(folder: Path) -> dict[str, bytes]:
    return {str(d.SOPInstanceUID): d.PixelData for d in map(pydicom.dcmread, folder.iterdir())}


if __name__ == "__main__":
    sys.exit(main())
