"""Ends every verb that writes at random moments, runs it again, and compares what it leaves with an undisturbed run.

python tests/kills.py --count 100 (`make kills`): each round takes the next verb, ends it with SIGKILL or another signal
after a random part of the time that it takes, and runs the same command again. Every file must then have the same
bytes as after a run nobody disturbed, but for those that hold times, and no temporary file may be left. After SIGTERM,
SIGINT and SIGHUP the exit code must be 75, or that of a run that had already ended. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pydicom
from local_server import web_server

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from every_verb import verbs_of  # noqa: E402
from mercure_task import task  # noqa: E402
from reviewed_dicom import make_dicom_results  # noqa: E402
from small_labels import MODEL, some_labels  # noqa: E402
from small_series import small_series  # noqa: E402
from tiny_dataset import write_config, write_msd  # noqa: E402

from medseg import resources  # noqa: E402
from medseg.io.formats import WRITERS, Labeled, write  # noqa: E402
from medseg.review.opening import open_store  # noqa: E402

STOPPED, UNUSABLE = 75, 2
GENTLE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Files that hold when something was done, where it was done, or that nothing promises to be the same.
WITH_TIMES = ("run.json", "medseg.log", "mlflow.db", "history.csv", "review.sqlite")
# And of a training, which says how long it took and where: its weights and tables are compared.
OF_A_TRAINING = ("checkpoint.pt", "model.yaml", "report.html")
# {i} is a folder of scans, {d} a dataset and {c} its configuration, {l} and {v} labels and {s} their scan, {r} reviewed
# results, {t} a task of mercure, {m} a model, {n} an archive, {p} what precedes on Python's path, {o} the output.
LINES = (
    "convert {i} --out {o} --format nifti",
    "predict {i} --model hippocampus --anyway --overlap 0 --mirror none --out {o}",
    "deidentify {s} --out {o} --key {k}",
    "export {l} --source {s} --manual --format dicom-seg,rtstruct,sr --out {o}",
    "audit {d} --out {o}",
    "evaluate {d}/labelsTr {d}/labelsTr --out {o}",
    "inspect {i} --out {o}",
    "inspect {i} --manifest {o}/cases.csv",
    "train {d} --config {c} --device cpu --out {o}",
    "follow {l} {v} --registered --scans {s} --scans {s} --out {o}",
    "monitor {r} --out {o}",
    "crop {s} --around 15,10,40 --size 5,5,5 --out {o}/crop.nii.gz",
    "review export {r} --format nifti --reviewer Ada --out {o}",
    "review agreement {r} --consensus majority --n-bootstrap 100 --out {o}",
    "pull --from {n} --query PatientID=P1 --retries 0 --out {o}",
    "models import {m} --name imported --out {o}/model --overwrite",
    "models export hippocampus --out {o}/model.zip",
    "mercure {t} --out {o}",
    "plan {d} --config {c} --explain --out {o}/plan.yaml",
    "bundle --out {o}/bundle",
)
# Verbs that refuse what they have made.
ONCE = ("bundle",)
# In pip's place, which takes minutes and an index: a wheel for each of its two calls.
PIP = """
import pathlib, sys, tempfile, time
pathlib.Path(tempfile.mkdtemp(), "download").write_bytes(b"a wheel")
wheels = pathlib.Path(sys.argv[sys.argv.index("--wheel-dir") + 1])
wheels.mkdir()
for name in ("medseg-1.0", "numpy-2.0"):
    time.sleep(0.2)
    (wheels / f"{name}-py3-none-any.whl").write_bytes(name.encode())
    if "--no-deps" in sys.argv:
        break
"""
# Verbs that write nothing, or nothing that somebody would miss; and those that tests of their own kill.
NOT_KILLED = {
    ("serve", "start"): "tests/service/node/test_node.py kills it at random moments",
    ("review", "results"): "tests/acceptance/test_review.py kills it between saves",
    ("review", "import"): "writes into the store of a review, which that test kills",
    ("run",): "runs what predict runs",
    ("report",): "reads what predict left and writes each file at once",
    ("label-next",): "writes one file at once",
    ("compare",): "writes each file at once, as evaluate does",
    ("bench", "architectures"): "trains as train does",
    ("models", "optimize"): "writes a card at once, as models import does",
    ("models", "register"): "leaves what it writes to MLflow",
    ("copy",): "copies one file at once",
    ("demo",): "runs what predict runs",
    ("push",): "writes nothing",
    ("list",): "writes nothing",
    ("schema",): "writes nothing",
    ("doctor",): "writes nothing",
    ("models", "list"): "writes nothing",
    ("models", "show"): "writes nothing",
    ("models", "verify"): "writes nothing",
    ("review", "status"): "writes nothing",
    ("review", "verify"): "writes nothing",
    ("serve", "status"): "writes nothing",
    ("serve", "check"): "writes nothing",
    ("serve", "retry"): "writes one transaction",
    ("serve", "dismiss"): "writes one transaction",
}


@dataclass(frozen=True)
class Undisturbed:
    """What a command leaves when nobody ends it."""

    seconds: float
    code: int
    files: dict[str, bytes]


def prepare(folder: Path) -> dict[str, Path | str]:
    """Write what the commands read."""
    write_msd(folder / "data", cases=4)
    shutil.copytree(folder / "data" / "imagesTr", folder / "in")
    source, geometry = small_series(folder / "series", shape=(13, 11, 9))
    labels = WRITERS["dicom-seg"].file_name
    for name, seed in (("labels", 0), ("later", 1)):
        (folder / name).mkdir()
        write("dicom-seg", Labeled(some_labels(geometry, seed=seed), source, MODEL), folder / name)
    (folder / "path" / "pip").mkdir(parents=True)
    (folder / "path" / "pip" / "__init__.py").touch()
    (folder / "path" / "pip" / "__main__.py").write_text(PIP)
    (folder / "key").write_bytes(b"a key of more than sixteen bytes")
    shipped = resources.models()["hippocampus"]
    given = task(folder / "task", folder / "series", {"model": str(shipped), "deliver_withheld": True})
    return {
        "i": folder / "in", "d": folder / "data", "s": folder / "series", "l": folder / "labels" / labels,
        "v": folder / "later" / labels, "k": folder / "key", "r": reviewed(folder / "reviewed"), "t": given / "in",
        "m": shipped, "p": folder / "path", "c": write_config(folder / "train.yaml", iterations_per_epoch=2, epochs=2),
    }  # fmt: skip


def reviewed(folder: Path) -> Path:
    """Results of a case that two readers accepted."""
    out, case_id, _ = make_dicom_results(folder)
    with open_store(out, create=True) as store:
        for who in ("Ada", "Ben"):
            store.verdict(case_id, kind="accept", revision=0, who=who, reader=who)
    return out


@contextmanager
def archive(folder: Path) -> Iterator[str]:
    """A DICOMweb service that has the series of a folder."""
    files = sorted(folder.iterdir())
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    header.NumberOfSeriesRelatedInstances = len(files)
    listed = b"[" + header.to_json().encode() + b"]"
    parts = b"".join(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + p.read_bytes() + b"\r\n" for p in files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_search = self.path.partition("?")[0].endswith(("/studies", "/series"))
            content = listed if is_search else parts + b"--x--\r\n"
            kind = "application/dicom+json" if is_search else 'multipart/related; type="application/dicom"; boundary=x'
            with contextlib.suppress(ConnectionError):  # of whoever was ended
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with web_server(Handler) as address:
        yield f"{address}/dicom-web"


def start(line: str, places: Mapping[str, Path | str], out: Path, scratch: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with a temporary folder of its own."""
    out.mkdir(exist_ok=True)  # as mercure has it
    words = [word.format(**places, o=out) for word in line.split()]
    path = [str(places["p"]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with said_by(scratch).open("wb") as said:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("medseg")), *words],
            env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": os.pathsep.join(path)},
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )


def said_by(scratch: Path) -> Path:
    """Where the errors of a command go."""
    return scratch.with_name("stderr")


def content(out: Path, line: str) -> dict[str, bytes]:
    """Bytes of every file by its name, but of those with times in them."""
    others = (*WITH_TIMES, *OF_A_TRAINING) if line.startswith("train") else WITH_TIMES
    paths = (path for path in out.rglob("*") if path.is_file() and path.name not in others)
    return {str(path.relative_to(out)): path.read_bytes() for path in paths if not path.name.startswith(".")}


def left(scratch: Path) -> list[str]:
    """Names of temporary files."""
    return sorted(path.name for path in scratch.rglob("*") if path.is_file())


def undisturbed(line: str, places: Mapping[str, Path | str], folder: Path) -> Undisturbed:
    scratch, out = folder / "tmp", folder / "out"
    scratch.mkdir(parents=True)
    begun = time.monotonic()
    code = start(line, places, out, scratch).wait()
    if code not in (0, 3, 4) or not content(out, line):
        raise SystemExit(f"`{line}` does not work by itself: exit code {code}")
    return Undisturbed(time.monotonic() - begun, code, content(out, line))


def disturbed(
    line: str,
    places: Mapping[str, Path | str],
    folder: Path,
    whole: Undisturbed,
    chance: random.Random,
    kind: signal.Signals,
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
    # The first tenths of a second belong to Python's own start, when no program hears a signal yet.
    unheard = code == -kind and not any(out.iterdir()) and not said_by(scratch).read_text()
    if kind in GENTLE and code not in (STOPPED, whole.code) and not unheard:
        said.append(f"exit code {code} after {kind.name}")
    last = f"medseg: stopped by {kind.name}; run the same command again to resume."
    if kind in GENTLE and code == STOPPED and said_by(scratch).read_text().splitlines()[-1:] != [last]:
        said.append(f"another last line than '{last}'")
    if kind in GENTLE and (names := left(scratch)):
        said.append(f"temporary files after {kind.name}: {names[:3]}")
    time.sleep(0.5)  # for children, which end when their parent has
    again = start(line, places, out, scratch).wait()
    is_refused = line.startswith(ONCE) and code == whole.code and again == UNUSABLE
    if again != whole.code and not is_refused:
        said.append(f"exit code {again} of the second run, {whole.code} of an undisturbed one")
    found = content(out, line)
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
    lines = [line for line in LINES if options.only is None or line.startswith(options.only)]
    counts: Counter[str] = Counter()
    differences = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kills-")))
        places = prepare(folder)
        places["n"] = stack.enter_context(archive(folder / "series"))
        whole = {line: undisturbed(line, places, folder / f"whole-{n}") for n, line in enumerate(lines)}
        for number in range(2 * options.count):
            line = lines[number // 2 % len(lines)]
            kind = signal.SIGKILL if number % 2 == 0 else GENTLE[number // 2 % len(GENTLE)]
            said = disturbed(line, places, folder / f"round-{number}", whole[line], chance, kind)
            verb = " ".join(next(iter(verbs_of([line]))))
            counts[f"{verb} {kind.name}"] += 1
            if said:
                differences += 1
                print(f"{number} {verb} {kind.name}: {'; '.join(said[:6])}", flush=True)
            shutil.rmtree(folder / f"round-{number}", ignore_errors=True)
    print(*(f"{name:<24}{n:>5}" for name, n in sorted(counts.items())), sep="\n")
    print(f"{2 * options.count} rounds, {differences} with differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
