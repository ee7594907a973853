"""How fast the node receives, beside dcmtk's storescp, and what it has acknowledged when it is killed.

python benchmarks/bench_node.py [--slices 2000] [--senders 4] [--pixels 256] [--repeats 3] [--out PAGE]

dcmtk's storescu sends the slices from that many processes at once, to `medseg serve` and to `storescp --fork`. Prints a
line each: seconds, objects a second, CPU milliseconds of the receiver for each object, and how many objects are on the
disk and whole. The node syncs each object
and its row to the disk before it answers, and is killed right after the last answer; storescp does not. Needs dcmtk
(apt-get install dcmtk).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pydicom
from markdown import load, table, write

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from peers.orthanc import free_port  # noqa: E402
from small_series import small_series  # noqa: E402

DCMTK = "/usr/bin"  # pynetdicom has programs of the same names


def send(folders: list[Path], port: int, called: str) -> float:
    """Seconds until all senders are done."""
    begun = time.monotonic()
    senders = [
        subprocess.Popen([f"{DCMTK}/storescu", "-aet", f"CT{n}", "-aec", called, "+sd", "127.0.0.1", str(port), folder])
        for n, folder in enumerate(folders)
    ]
    codes = [sender.wait() for sender in senders]
    if any(codes):
        raise SystemExit(f"a sender failed: {codes}")
    return time.monotonic() - begun


def whole(folder: Path) -> int:
    """How many objects a folder has that can be read, each counted once."""
    return len({str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.rglob("*") if path.is_file()})


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and its children that have ended."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def node(folders: list[Path], work: Path) -> tuple[float, float, int]:
    port = free_port()
    keys = {"port": port, "http": None, "folder": "data", "quiet_seconds": 3600, "rules": [{"model": "hippocampus"}]}
    (work / "node.yaml").write_text(json.dumps(keys))
    command = [sys.executable, "-m", "medseg", "serve", "--config", str(work / "node.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert process.stdout is not None
        process.stdout.readline()
        receiver = psutil.Process(process.pid)
        before = cpu(receiver)
        seconds = send(folders, port, "MEDSEG")
        used = cpu(receiver) - before
    finally:
        process.kill()  # at once: what was acknowledged must be there
        process.wait()
    return seconds, used, whole(work / "data" / "incoming")


def storescp(folders: list[Path], work: Path) -> tuple[float, float, int]:
    port = free_port()
    (work / "storescp").mkdir()
    command = [f"{DCMTK}/storescp", "--fork", "-aet", "STORESCP", "-od", str(work / "storescp"), str(port)]
    process = subprocess.Popen(command)
    try:
        time.sleep(1)
        receiver = psutil.Process(process.pid)
        before = cpu(receiver)
        seconds = send(folders, port, "STORESCP")
        time.sleep(1)
        used = cpu(receiver) - before
    finally:
        process.terminate()
        process.wait()
    return seconds, used, whole(work / "storescp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--pixels", type=int, default=256, help="along each side of a slice")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if shutil.which(f"{DCMTK}/storescp") is None:
        raise SystemExit("dcmtk is not installed (apt-get install dcmtk)")
    each = options.slices // options.senders
    count = each * options.senders
    found: dict[str, list[tuple[float, float, int]]] = {"storescp": [], "medseg serve": []}
    with tempfile.TemporaryDirectory(prefix="bench-node-") as name:
        folders = [Path(name) / "in" / str(number) for number in range(options.senders)]
        for folder in folders:
            small_series(folder, shape=(options.pixels, options.pixels, each))
        for repeat in range(options.repeats):
            for title, receive in (("storescp", storescp), ("medseg serve", node)):
                work = Path(name) / f"{title.split()[0]}-{repeat}"
                work.mkdir()
                seconds, used, kept = receive(folders, work)
                found[title].append((count / seconds, 1000 * used / count, kept))
                print(
                    f"{title}\t{seconds:.1f} s\t{count / seconds:.0f} objects/s\t{1000 * used / count:.2f} CPU-ms each"
                    f"\t{kept} of {count} whole",
                    flush=True,
                )
                shutil.rmtree(work)
    if options.out is not None:
        publish(options, count, found)


def publish(options: argparse.Namespace, count: int, found: dict[str, list[tuple[float, float, int]]]) -> None:
    """Write the page."""
    rows = {
        title: [
            f"{np.median([rate for rate, _, _ in runs]):.0f} ({min(runs)[0]:.0f} to {max(runs)[0]:.0f})",
            f"{np.median([used for _, used, _ in runs]):.2f}",
            f"{min(kept for _, _, kept in runs):,} of {count:,}",
        ]
        for title, runs in found.items()
    }
    ratio = np.median([rate for rate, _, _ in found["medseg serve"]]) / np.median(
        [rate for rate, *_ in found["storescp"]]
    )
    paragraphs = [
        f"By `python benchmarks/bench_node.py`: {count:,} slices of {options.pixels} x {options.pixels} pixels from "
        f"{options.senders} storescu of dcmtk at once, on the same machine, to `medseg serve` and to `storescp "
        f"--fork`; {options.repeats} runs each in turn, the median, and the slowest and fastest in brackets.",
        table(["objects a second", "CPU-ms of the receiver for each", "on the disk and whole, at least"], rows),
        f"medseg's rate is {ratio:.2f} times that of storescp. It syncs each object and its row to the disk before it "
        "answers, and was killed (SIGKILL) right after the last answer of each run; storescp syncs nothing. "
        "storescp ran with its defaults, and waits most of its time: beside the rate, compare the CPU.",
        load(),
    ]
    write(options.out, "The node beside storescp", paragraphs)


if __name__ == "__main__":
    main()
