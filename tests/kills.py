"""Ends every verb that writes at random moments, runs it again, and compares what it leaves with an undisturbed run.

python tests/kills.py --count 100 (`make kills`): each round takes the next verb, ends it with SIGKILL or another signal
after a random part of the time that it takes, and runs the same command again. Every file must then have the same
bytes as after a run nobody disturbed, but for those that hold times, and no temporary file may be left. After SIGTERM,
SIGINT and SIGHUP the exit code must be 75, or that of a run that had already ended. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from small_labels import MODEL, some_labels  # noqa: E402
from small_series import small_series  # noqa: E402
from tiny_dataset import write_msd  # noqa: E402

from medseg.io.formats import WRITERS, Labeled, write  # noqa: E402

STOPPED = 75
GENTLE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Files that hold when something was done, or that nothing promises to be the same.
WITH_TIMES = ("run.json", "medseg.log", "mlflow.db", "history.csv")
# {i} is a folder of scans, {d} a dataset, {l} labels and {s} their scan, {o} the output.
LINES = (
    "convert {i} --out {o} --format nifti",
    "predict {i} --model hippocampus --anyway --overlap 0 --mirror none --out {o}",
    "deidentify {s} --out {o} --key {k}",
    "export {l} --source {s} --manual --format dicom-seg,rtstruct,sr --out {o}",
    "audit {d} --out {o}",
    "evaluate {d}/labelsTr {d}/labelsTr --out {o}",
    "inspect {i} --out {o}",
)


@dataclass(frozen=True)
class Undisturbed:
    """What a command leaves when nobody ends it."""

    seconds: float
    code: int
    files: dict[str, bytes]


def prepare(folder: Path) -> dict[str, Path]:
    """Write what the commands read."""
    write_msd(folder / "data", cases=4)
    shutil.copytree(folder / "data" / "imagesTr", folder / "in")
    source, geometry = small_series(folder / "series", shape=(13, 11, 9))
    (folder / "labels").mkdir()
    write("dicom-seg", Labeled(some_labels(geometry), source, MODEL), folder / "labels")
    (folder / "key").write_bytes(b"a key of more than sixteen bytes")
    labels = folder / "labels" / WRITERS["dicom-seg"].file_name
    return {"i": folder / "in", "d": folder / "data", "s": folder / "series", "l": labels, "k": folder / "key"}


def start(line: str, places: dict[str, Path], out: Path, scratch: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with a temporary folder of its own."""
    words = [word.format(**places, o=out) for word in line.split()]
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("medseg")), *words],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def content(out: Path) -> dict[str, bytes]:
    """Bytes of every file by its name, but of those with times in them."""
    paths = (path for path in out.rglob("*") if path.is_file() and path.name not in WITH_TIMES)
    return {str(path.relative_to(out)): path.read_bytes() for path in paths if not path.name.startswith(".")}


def left(scratch: Path) -> list[str]:
    """Names of temporary files."""
    return sorted(path.name for path in scratch.rglob("*") if path.is_file())


def undisturbed(line: str, places: dict[str, Path], folder: Path) -> Undisturbed:
    scratch, out = folder / "tmp", folder / "out"
    scratch.mkdir(parents=True)
    begun = time.monotonic()
    code = start(line, places, out, scratch).wait()
    if code not in (0, 3) or not content(out):
        raise SystemExit(f"`{line}` does not work by itself: exit code {code}")
    return Undisturbed(time.monotonic() - begun, code, content(out))


def disturbed(
    line: str, places: dict[str, Path], folder: Path, whole: Undisturbed, chance: random.Random, kind: signal.Signals
) -> list[str]:
    """End a command at a random moment, run it again, and return what is not as it should be."""
    scratch, out = folder / "tmp", folder / "out"
    scratch.mkdir(parents=True)
    process = start(line, places, out, scratch)
    try:
        process.wait(chance.uniform(0.05, whole.seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(kind)
    code = process.wait()
    said = []
    if kind in GENTLE and code not in (STOPPED, whole.code):
        said.append(f"exit code {code} after {kind.name}")
    if kind in GENTLE and (names := left(scratch)):
        said.append(f"temporary files after {kind.name}: {names[:3]}")
    time.sleep(0.5)  # for children, which end when their parent has
    again = start(line, places, out, scratch).wait()
    if again != whole.code:
        said.append(f"exit code {again} of the second run, {whole.code} of an undisturbed one")
    found = content(out)
    said += [
        f"{name} differs" for name in sorted(found.keys() | whole.files) if found.get(name) != whole.files.get(name)
    ]
    if names := left(scratch) + sorted(path.name for path in out.rglob(".medseg-part-*")):
        said.append(f"temporary files after the second run: {names[:3]}")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="of SIGKILL, and as many of other signals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="the verb to try alone")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    lines = [line for line in LINES if options.only in (None, line.split()[0])]
    counts: Counter[str] = Counter()
    differences = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        places = prepare(folder)
        whole = {line: undisturbed(line, places, folder / f"whole-{n}") for n, line in enumerate(lines)}
        for number in range(2 * options.count):
            line = lines[number // 2 % len(lines)]
            kind = signal.SIGKILL if number % 2 == 0 else GENTLE[number // 2 % len(GENTLE)]
            said = disturbed(line, places, folder / f"round-{number}", whole[line], chance, kind)
            counts[f"{line.split()[0]} {kind.name}"] += 1
            if said:
                differences += 1
                print(f"{number} {line.split()[0]} {kind.name}: {'; '.join(said[:6])}", flush=True)
            shutil.rmtree(folder / f"round-{number}", ignore_errors=True)
    print(*(f"{name:<24}{n:>5}" for name, n in sorted(counts.items())), sep="\n")
    print(f"{2 * options.count} rounds, {differences} with differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
