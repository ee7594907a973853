"""The review page in a headless Chromium without a GPU, beside NiiVue: first slices, memory, pen, next case.

    python benchmarks/bench_review_page.py                                  # 512 x 512 x 400, 30 classes
    python benchmarks/bench_review_page.py --folder CASES --write-only     # make the cases now, measure later
    python benchmarks/bench_review_page.py --folder CASES --niivue niivue.umd.js --table docs/benchmarks/review.md

NiiVue's file is `package/dist/niivue.umd.js` of `npm pack @niivue/niivue`; without it medseg is measured alone. Both
show the same uncompressed volume from this machine, one after the other, with the same mouse movements; NiiVue draws
WebGL in software, as it must on a machine without a GPU. Compare ratios, not times: they are those of the machine.

- first slices: seconds and fraction of all bytes until the middle of the axial plane is no longer black.
- memory: of all processes of the browser (USS), less that with an empty page, for each voxel once everything is
  loaded. Measured without the browser's debugger, which keeps copies of answers.
- pen to paint: from a mouse event to the end of the frame that shows it, 95th percentile of 160 events.
- next case: from the key to the next case being ready to work on, prefetched; for NiiVue the loading of another volume.
"""

from __future__ import annotations

import argparse
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests"), str(Path(__file__).parent)]

from markdown import machine, table, write  # noqa: E402
from review.browser.phantoms import Phantom, write_results  # noqa: E402
from review.browser.served import chromium, serving  # noqa: E402

from medseg.types import LabelClass, LabelTable  # noqa: E402

VIEW = {"width": 1280, "height": 720}
SETTLE = 45  # seconds after which the browser has collected its garbage
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
PROBE = """
window.probe = { moves: [], bytes: 0, first: null }
const real = window.fetch
window.fetch = async (address, options) => {
  const answer = await real(address, options)
  if (/image|labels|nii/.test(address)) probe.bytes += Number(answer.headers.get('content-length') ?? 0)
  return answer
}
addEventListener('pointermove', ({ timeStamp }) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => probe.moves.push(performance.now() - timeStamp)
  port2.postMessage(0)
}), true)
addEventListener('keydown', ({ timeStamp }) => { probe.key = timeStamp }, true)
const look = () => {
  const canvas = document.querySelector('canvas[data-plane=axial]')
  if (canvas?.width > 10) {
    const { data } = canvas.getContext('2d').getImageData(canvas.width / 2 - 30, canvas.height / 2 - 30, 60, 60)
    if (data.filter((value, i) => i % 4 === 0 && value > 20).length > 100) {
      probe.first = performance.now()
      probe.firstBytes = probe.bytes
      return
    }
  }
  requestAnimationFrame(look)
}
requestAnimationFrame(look)
new MutationObserver(() => { if (document.body.dataset.ready === '1') probe.ready = performance.now() })
  .observe(document, { subtree: true, attributes: true, attributeFilter: ['data-ready'] })
"""
NIIVUE_PAGE = """<!doctype html><title>loading</title><style>
body{margin:0;background:#000}#c{width:1280px;height:720px}</style>
<canvas id=c></canvas><script src=niivue.js></script><script>
(async () => {
  const nv = window.nv = new niivue.Niivue({ isResizeCanvas: true, logLevel: 'error', isRadiologicalConvention: true })
  await nv.attachToCanvas(document.getElementById('c'))
  const load = window.load = (n) => nv.loadVolumes([{ url: `scan-${n}.nii`, cal_min: -160, cal_max: 240 },
    { url: `labels-${n}.nii`, opacity: 0.5, colormap: 'random' }])
  await load(1)
  nv.setSliceType(nv.sliceTypeMultiplanar)
  nv.drawScene()
  window.first = performance.now()
  document.title = 'ready'
})().catch((error) => { document.title = String(error) })
</script>"""


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--classes", type=int, default=30)
    parser.add_argument("--niivue", type=Path, help="niivue.umd.js")
    parser.add_argument("--table", type=Path, help="Markdown to write")
    parser.add_argument("--folder", type=Path, help="where cases are made and kept; by default a folder deleted after")
    parser.add_argument("--write-only", action="store_true", help="only make the cases")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        results, scans, phantom = make_cases(folder, options.slices, options.classes)
        if options.write_only:
            return
        rows = {"medseg": measure_medseg(results, scans, phantom.scan.size)}
        if options.niivue:
            rows["NiiVue"] = measure_niivue(folder / "niivue", options.niivue, phantom)
    print(json.dumps(rows, indent=1))
    if options.table:
        write_report(options.table, rows, f"512 x 512 x {options.slices}, {options.classes} classes")


def make_cases(folder: Path, slices: int, classes: int) -> tuple[Path, Path, Phantom]:
    """Write two equal cases: a body with round organs and noise, as CT is stored."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(*[np.linspace(-1, 1, 512, dtype=np.float32)] * 2, indexing="ij")
    body = np.where(x**2 / 0.8 + y**2 / 0.55 < 1, 40, -1000)
    noise = rng.integers(-40, 40, (16, 512, 512), dtype=np.int16)
    centers = rng.uniform((-0.6, -0.5, -0.8), (0.6, 0.5, 0.8), (classes, 3))
    scan = np.empty((512, 512, slices), np.int16, order="F")
    labels = np.zeros(scan.shape, np.uint8, order="F")
    for k, z in enumerate(np.linspace(-1, 1, slices)):
        scan[..., k] = body + noise[k % 16]
        for value, center in enumerate(centers, start=1):
            inside = (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2 / 2 < 0.018
            labels[inside, k] = value
            scan[inside, k] += 60
    affine = np.diag([-0.8, -0.8, 1.0, 1.0])
    colors = rng.integers(40, 255, (classes, 3)).tolist()
    table = LabelTable(tuple(LabelClass(n, f"organ {n}", color=tuple(c)) for n, c in enumerate(colors, start=1)))
    made = [Phantom(f"ct-{n}", scan, labels, affine, ()) for n in (1, 2)]
    if not (folder / "results" / "ct-2" / "status.json").is_file():
        write_results(folder, made, table)
        for n in (1, 2):
            (folder / "niivue").mkdir(exist_ok=True)
            for name, array in (("scan", scan), ("labels", labels)):
                nib.save(nib.Nifti1Image(array, affine), folder / "niivue" / f"{name}-{n}.nii")
    return folder / "results", folder / "scans", made[0]


def measure_medseg(results: Path, scans: Path, voxels: int) -> dict[str, float]:
    """The review page."""
    with serving(results, scans) as address:
        warm(address)
        with chromium() as browser:
            page = browser.new_context(viewport=VIEW).new_page()
            page.add_init_script(PROBE)
            page.goto(address)
            page.wait_for_selector('body[data-ready="1"]', timeout=300_000)
            page.wait_for_timeout(10_000)  # the next case comes
            found = page.evaluate("({ ...probe })")
            page.keyboard.press("4")
            box = page.locator("canvas[data-plane=axial]").bounding_box()
            stroke(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            pen = page.evaluate("probe.moves")
            page.wait_for_selector('body[data-dirty="0"]', timeout=300_000)
            page.keyboard.press("n")
            page.wait_for_selector('body[data-case="ct-2"][data-ready="1"]', timeout=300_000)
            following = page.evaluate("probe.ready - probe.key")
        memory = settled_memory(address)
    return {
        "first slices, s": found["first"] / 1000,
        "bytes before them, % of all": 100 * found["firstBytes"] / (3 * voxels),
        "ready, s": found["ready"] / 1000,
        "memory, bytes a voxel": memory / voxels,
        "pen to paint p95, ms": float(np.percentile(pen, 95)),
        "next case, ms": following,
    }


def measure_niivue(folder: Path, script: Path, phantom: Phantom) -> dict[str, float]:
    """NiiVue with the same volumes."""
    (folder / "index.html").write_text(NIIVUE_PAGE)
    (folder / "niivue.js").write_bytes(script.read_bytes())
    with serving_folder(folder) as address:
        with chromium(*WEBGL) as browser:
            page = browser.new_context(viewport=VIEW).new_page()
            page.add_init_script(PROBE)
            page.goto(address)
            page.wait_for_function("document.title !== 'loading'", timeout=600_000)
            assert page.title() == "ready", page.title()
            first = page.evaluate("first")
            page.evaluate("() => { nv.setDrawingEnabled(true); nv.setPenValue(1, false) }")
            page.evaluate("probe.moves.length = 0")
            stroke(page, 320, 180)
            pen = page.evaluate("probe.moves")
            code = "async () => { const from = performance.now(); await load(2); return performance.now() - from }"
            following = page.evaluate(code)
        memory = settled_memory(address, *WEBGL)
    return {
        "first slices, s": first / 1000,
        "bytes before them, % of all": 100.0,
        "ready, s": first / 1000,
        "memory, bytes a voxel": memory / phantom.scan.size,
        "pen to paint p95, ms": float(np.percentile(pen, 95)),
        "next case, ms": following,
    }


def warm(address: str) -> None:
    """Let the server read both cases, as it would while a reader looks at the case before."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.open(address).read()
    for case in ("ct-1", "ct-2"):
        for path in ("", "/image", "/labels"):
            asked = urllib.request.Request(f"{address.split('/?')[0]}/api/case/{case}{path}")
            asked.add_header("Range", "bytes=0-351")
            opener.open(asked).read()


def stroke(page: Any, x: float, y: float) -> None:
    """Draw 160 steps around a point."""
    page.mouse.move(x - 80, y)
    page.mouse.down()
    page.evaluate("probe.moves.length = 0")
    for step in range(160):
        page.mouse.move(x - 80 + step, y + 20 * (step % 2))
    page.mouse.up()


def settled_memory(address: str, *arguments: str) -> int:
    """Memory of a browser with the page and without a debugger, less that with an empty page."""
    return browser_memory(address, *arguments) - browser_memory("about:blank", *arguments)


def browser_memory(address: str, *arguments: str) -> int:
    """Memory of all processes of a browser, textures among them, once it no longer changes."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,720"]
        browser = subprocess.Popen(
            [*command, *(arguments or ["--disable-gpu"]), f"--user-data-dir={profile}", address],
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(SETTLE)
            parent = psutil.Process(browser.pid)
            return sum(one.memory_full_info().uss for one in (parent, *parent.children(recursive=True)))
        finally:
            browser.terminate()
            browser.wait(20)


@contextmanager
def serving_folder(folder: Path) -> Iterator[str]:
    """Serve files on loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    handler: Callable[..., Any] = partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def write_report(path: Path, rows: dict[str, dict[str, float]], size: str) -> None:
    """Write the table, with how many times NiiVue's figure is medseg's."""
    columns = list(rows["medseg"])
    body = {name: [f"{float(f'{row[column]:.3g}'):g}" for column in columns] for name, row in rows.items()}
    if both := len(rows) > 1:
        ratios = (rows["NiiVue"][column] / max(rows["medseg"][column], 1e-9) for column in columns)
        body["NiiVue / medseg"] = [f"{float(f'{ratio:.2g}'):g}" for ratio in ratios]
    how = (
        "Written by `python benchmarks/bench_review_page.py --niivue niivue.umd.js --table FILE`, whose head says how "
        f"each figure is measured. {size}, in a headless Chromium of 1280 x 720 without a GPU ({machine()})."
    )
    beside = (
        "NiiVue (`@niivue/niivue` of npm) is made to be shown by a GPU and draws WebGL in software here, as it must on "
        "the PC without one that the page is made for; it shows the whole volume when all of it has come. Only ratios "
        "compare: above 1, NiiVue takes more."
    )
    write(path, "The review page in a browser", [how, *([beside] if both else []), table(columns, body)])


if __name__ == "__main__":
    main()
