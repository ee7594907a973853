"""Measures what shards cost beside their cases, and how quickly the report of many cases is made and opened.

python benchmarks/bench_shards.py [--cases 1000] [--shards 200] [--report 10000] [--of 200] [--figures JSON] [--out MD]

Tiny made-up cases are listed in a manifest and run in so many shards, each a process, one after another, by a pipeline
that reads a case and writes a file, so that what is measured is everything else: starting, reading the manifest, the
records, the shard's files. `--of` runs only some of the shards, evenly spread. Then `medseg report` joins them. Last, a
report over `--report` made-up outcomes with previews is written, and opened in Chromium where there is one, five times.
With `--folder` and `--seconds` the shards may be run in several goes.
`--figures` adds what was measured to a JSON file, so that parts may be measured one by one, the browser on a machine
without other work; `--out` writes the page from it.
"""

from __future__ import annotations

import argparse
import json
import queue
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
from markdown import table, write
from PIL import Image

TIMES = 5
ABOUT = (
    "What shards cost beside their cases, by `python benchmarks/bench_shards.py`: tiny made-up cases of a manifest, "
    "each shard a process of its own on one core, with a pipeline that reads a case and writes a file. CPU seconds "
    "were measured beside other work on the machine, so that they are an upper bound; so was the browser. The "
    "report is one of made-up outcomes, each with measurements of two classes and a preview of 900 x 300 pixels."
)
SCRIPT = """<script>addEventListener('load', () => requestAnimationFrame(() => setTimeout(() =>
fetch('/took', {method: 'POST', body: String(performance.now() / 1000)}), 0)))</script>"""
PIPELINE = """description: Read each scan and write its preview.
gather: {name: discover, stage: discover, from: inputs}
each:
  - {name: read, stage: read, from: case}
  - {name: note, stage: note-scan, from: read}
finish:
  - {name: report, stage: report, from: batch}
"""
SHARD = """
import sys, time, resource
from pathlib import Path
from medseg.engine import pipeline, registry
from medseg.engine.case_in_hand import CaseInHand
from medseg.engine.pipeline import assemble, load_pipeline
from medseg.engine.predict import inputs_of
from medseg.engine.runner import RunOptions, run
from medseg.engine.shard import Shard
from medseg.engine.stages.options import WithoutOptions
from medseg.io.files.atomic import write_text
from medseg.types.scan import Case
from medseg.types.stage import RunContext

class Note(WithoutOptions):
    def run(self, item: Case, context: RunContext) -> Case:
        write_text(context.case_folder / "note.txt", str(item.scan.array.sum()))
        return item

known = pipeline.stage_class
pipeline.stage_class = lambda name: Note if name == "note-scan" else known(name)
folder = Path(sys.argv[1])
made = assemble("shards", load_pipeline(folder / "shards.yaml"), {})
options = RunOptions(isolate=False, shard=Shard.parse(sys.argv[2]))
run(made, inputs_of([], folder / "cases.csv", None), folder / "out", options)
"""


def write_cases(folder: Path, count: int) -> None:
    """Write tiny images, and the manifest that lists them."""
    from medseg.review.inspect import inspect

    for number in range(count):
        path = folder / "scans" / f"set{number // 100}" / f"case{number:06}.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.full((4, 4, 4), number, np.int32), np.eye(4)), path)
    inspect(folder / "scans", manifest=folder / "cases.csv", headers_only=True)
    (folder / "shards.yaml").write_text(PIPELINE)


def cpu(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process that must succeed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def run_shards(folder: Path, shards: int, of: int, seconds: float) -> bool:
    """Run shards one after another, those that were not run before; False where the time is over first."""
    end, file = time.monotonic() + seconds, folder / "spent.json"
    spent = json.loads(file.read_text()) if file.is_file() else {}
    for k in sorted({1 + round(n * (shards - 1) / max(of - 1, 1)) for n in range(of)}):
        if str(k) not in spent:
            if time.monotonic() > end:
                return False
            spent[str(k)] = cpu([sys.executable, "-c", SHARD, str(folder), f"{k}/{shards}"])[0]
            file.write_text(json.dumps(spent))
    return True


def measure_shards(folder: Path, shards: int) -> dict[str, float]:
    """Join the shards; return what they took and left."""
    spent = list(json.loads((folder / "spent.json").read_text()).values())
    done = len(list((folder / "out").glob("*/status.json")))
    joined, _ = cpu([sys.executable, "-c", f"import medseg; medseg.report({str(folder / 'out')!r})"])
    content = json.loads((folder / "out" / "run.json").read_text())
    rows = len((folder / "out" / "cases.csv").read_text().splitlines()) - 1
    return {
        "shards run": len(spent),
        "shards": shards,
        "cases done": done,
        "CPU-s of a shard, its cases included, median": round(float(np.median(spent)), 2),
        "CPU-s of a shard, its cases included, at most": round(max(spent), 2),
        "CPU-s of `medseg report`": round(joined, 2),
        "rows of cases.csv": rows,
        "unfinished shards": len(content["shards"]["unfinished"]),
        "run.json files": len(list((folder / "out").glob("run.json"))),
    }


def measure_report(folder: Path, count: int) -> dict[str, float]:
    """Write a report over made-up outcomes, and open its first page."""
    from medseg.engine.batch_report import write_report
    from medseg.types.class_values import ClassValues
    from medseg.types.run import BatchResult, CaseOutcome, ClassVolume, Volumes
    from medseg.types.volume_interval import VolumeInterval

    folder.mkdir(parents=True)
    preview = folder / "preview.png"
    noise = np.random.default_rng(0).integers(0, 256, (300, 900, 3), np.uint8)
    Image.fromarray(noise).save(preview)
    for number in range(count):
        (folder / f"case{number}").mkdir()
        (folder / f"case{number}" / "preview.png").hardlink_to(preview)
    values = ClassValues(102.4, 98.7, 21.3, 40.0, 180.0, 61.2, 141.9)
    measured = ClassVolume(
        "anterior", 800, 1.53, values=(values,), diameter_mm=31.2, long_axis_mm=22.8, short_axis_mm=14.1,
        interval=VolumeInterval(1.31, 1.75, 0.9, 52),
    )  # fmt: skip
    volumes = Volumes((measured, replace(measured, class_name="posterior")))
    outcomes = tuple(
        CaseOutcome(
            f"case{n}",
            "done",
            f"case{n}.nii.gz",
            volumes=volumes,
            review_priority=float(n % 7),
            notes=("A note on this case.",),
            outputs=("labels.nii.gz", "measurements.csv", "preview.png"),
        )
        for n in range(count)
    )
    began = time.process_time()
    write_report(BatchResult(folder, outcomes))
    pages = [path.stat().st_size for path in folder.glob("report*.html")]
    spent = time.process_time() - began
    (folder / "empty.html").write_text("<!doctype html><html><head></head><body></body></html>")
    opened, empty = (
        [took for took in (open_in_chromium(folder / name) for _ in range(TIMES)) if took is not None]
        for name in ("report.html", "empty.html")
    )
    figures: dict[str, float] = {
        "cases of the report": count,
        "CPU-s to write it": round(spent, 1),
        "its pages": len(pages),
        "MB of the largest page": round(max(pages) / 1e6, 2),
    }
    if opened:
        (wall, busy), (_, at_least) = np.median(opened, axis=0), np.median(empty, axis=0)
        figures["s until Chromium has loaded the first page, median of 5"] = round(float(wall), 2)
        figures["CPU-s of Chromium for it, more than for an empty page"] = round(float(busy - at_least), 2)
    return figures


class Site(ThreadingHTTPServer):
    """Serves a folder, with a page that says how long it took to be loaded and drawn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.took: queue.SimpleQueue[float] = queue.SimpleQueue()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        if path.suffix == ".html":  # without its rule against scripts, and with one that reports
            text = content.decode().replace("Content-Security-Policy", "x-none")
            content = text.replace("<head>", f"<head>{SCRIPT}").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if path.suffix == ".html" else "image/png")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.server.took.put(float(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def open_in_chromium(page: Path) -> tuple[float, float] | None:
    """Seconds from navigation until a page is loaded and drawn, its images in view included, and CPU seconds till then.

    The latter are of all of Chromium's processes, its start included. None without Chromium.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        return None
    with Site(page.parent) as site, tempfile.TemporaryDirectory() as home:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={home}",
            "--window-size=1280,900",
        ]
        command.append(f"http://127.0.0.1:{site.server_port}/{page.name}")
        # Without this option the browser would end as soon as the page is loaded.
        running = subprocess.Popen(
            [*command, "--remote-debugging-port=0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            took = site.took.get(timeout=120)
            browser = psutil.Process(running.pid)
            times = [one.cpu_times() for one in (browser, *browser.children(recursive=True))]
            return took, sum(one.user + one.system for one in times)
        finally:
            running.terminate()
            running.wait()
            site.shutdown()


def main() -> int:
    """Measure, print a line for each figure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--of", type=int, default=200)
    parser.add_argument("--report", type=int, default=10_000)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--folder", type=Path, help="kept, so that the same command resumes where it stopped")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after which no further shard is begun")
    options = parser.parse_args()
    known = options.figures is not None and options.figures.is_file()
    figures: dict[str, float] = json.loads(options.figures.read_text()) if known else {}
    with tempfile.TemporaryDirectory(prefix="shards-") as name:
        folder = options.folder or Path(name)
        if options.cases:
            if not (folder / "shards.yaml").is_file():
                write_cases(folder, options.cases)
            if not run_shards(folder, options.shards, min(options.of, options.shards), options.seconds):
                print("not all shards were run: repeat the command")
                return 1
            figures |= measure_shards(folder, options.shards)
        if options.report:
            figures |= measure_report(folder / "report", options.report)
    for label, value in figures.items():
        print(f"{label}: {value:,}")
    if options.figures is not None:
        options.figures.write_text(json.dumps(figures))
    if options.out is not None:
        write(options.out, "Shards, and the report of many cases", [ABOUT, table(["measured"], _rows(figures))])
    return 0


def _rows(figures: dict[str, float]) -> dict[str, list[str]]:
    return {label: [f"{value:,}"] for label, value in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
