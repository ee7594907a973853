"""Measures what shards cost beside their cases, and how quickly the report of many cases is made and opened.

python benchmarks/bench_shards.py [--cases 1000] [--shards 200] [--report 10000] [--of 200]

Tiny made-up cases are listed in a manifest and run in so many shards, each a process, one after another, by a pipeline
that reads a case and writes a file, so that what is measured is everything else: starting, reading the manifest, the
records, the shard's files. `--of` runs only some of the shards, evenly spread. Then `medseg report` joins them. Last, a
report over `--report` made-up outcomes with previews is written, and opened in Chromium where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

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


def measure_shards(folder: Path, shards: int, of: int) -> None:
    """Run shards and print what each takes; then join them."""
    numbers = sorted({1 + round(n * (shards - 1) / max(of - 1, 1)) for n in range(of)})
    spent = [cpu([sys.executable, "-c", SHARD, str(folder), f"{k}/{shards}"])[0] for k in numbers]
    done = len(list((folder / "out").glob("*/status.json")))
    print(
        f"{len(numbers)} of {shards} shards, {done} cases: CPU seconds of a shard, its cases included, "
        f"median {np.median(spent):.2f}, at most {max(spent):.2f}"
    )
    joined, _ = cpu([sys.executable, "-c", f"import medseg; medseg.report({str(folder / 'out')!r})"])
    content = json.loads((folder / "out" / "run.json").read_text())
    rows = len((folder / "out" / "cases.csv").read_text().splitlines()) - 1
    print(
        f"medseg report: {joined:.2f} CPU seconds; {rows} rows, "
        f"{len(content['shards']['unfinished'])} unfinished shards, "
        f"{len(list((folder / 'out').glob('run.json')))} run.json"
    )


def measure_report(folder: Path, count: int) -> None:
    """Write a report over made-up outcomes, print the size of its pages, and open the first."""
    from medseg.engine.batch_report import write_report
    from medseg.types.run import BatchResult, CaseOutcome, ClassVolume, Volumes

    folder.mkdir()
    preview = folder / "preview.png"
    noise = np.random.default_rng(0).integers(0, 256, (300, 900, 3), np.uint8)
    Image.fromarray(noise).save(preview)
    for number in range(count):
        (folder / f"case{number}").mkdir()
        (folder / f"case{number}" / "preview.png").hardlink_to(preview)
    volumes = Volumes((ClassVolume("lesion", 8, 0.5),))
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
    print(
        f"report of {count:,} cases: {time.process_time() - began:.1f} CPU seconds; {len(pages)} pages, "
        f"the largest {max(pages) / 1e6:.2f} MB"
    )
    opened = open_in_chromium(folder / "report.html")
    print("Chromium: not there" if opened is None else f"Chromium opens the first page in {opened:.2f} s")


@contextmanager
def browser() -> Iterator[str | None]:
    """The program, where there is one."""
    yield shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def open_in_chromium(page: Path) -> float | None:
    """Seconds from navigation to the page's load event, as the page itself has them; None without Chromium.

    A copy of the page without its rule against scripts says them in its text, which Chromium prints.
    """
    with browser() as program:
        if program is None:
            return None
        script = (
            "<script>addEventListener('load', () => setTimeout(() => { const t = performance.timing;"
            "document.body.innerHTML = 'took ' + (t.loadEventEnd - t.navigationStart) }, 0))</script></body>"
        )
        text = page.read_text(encoding="utf-8").replace("Content-Security-Policy", "x-none").replace("</body>", script)
        copy = page.with_name("timed.html")
        copy.write_text(text, encoding="utf-8")
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=20000",
            "--dump-dom",
            copy.as_uri(),
        ]
        shown = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "HOME": str(page.parent)}
        )
        return int(shown.stdout.partition("took ")[2].partition("<")[0].split()[0]) / 1000


def main() -> int:
    """Print one line for each thing measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--of", type=int, default=200)
    parser.add_argument("--report", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shards-") as name:
        folder = Path(name)
        if options.cases:
            write_cases(folder, options.cases)
            measure_shards(folder, options.shards, min(options.of, options.shards))
        if options.report:
            measure_report(folder / "report", options.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
