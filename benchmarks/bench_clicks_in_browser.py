"""Whether clicks would be answered sooner by the network in the browser; writes docs/benchmarks/clicks-in-browser.md.

    npm pack onnxruntime-web && tar xzf onnxruntime-web-*.tgz
    python benchmarks/bench_clicks_in_browser.py --runtime package/dist

The network of `bench_clicks.py` on one patch: in the server on OpenVINO, and in a headless Chromium on
onnxruntime-web's WebAssembly with one thread and with two (which needs a page isolated from other origins). Both take
the same ONNX file, and their probabilities are compared. One after the other, on the same machine: compare ratios.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests"), str(Path(__file__).parent)]

from bench_clicks import package_of_clicks  # noqa: E402
from markdown import load, table, write  # noqa: E402
from review.browser.served import chromium  # noqa: E402

from medseg.infer.clicks.interaction import Interaction, network_input  # noqa: E402
from medseg.infer.clicks.model import ClickModel  # noqa: E402
from medseg.infer.engines.onnx_export import export_onnx  # noqa: E402

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "clicks-in-browser.md"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
# Loads the network, answers `runs` times, and returns milliseconds and the first answer.
SCRIPT = """
async ({ threads, runs, shape }) => {
  const ort = await import('/ort.wasm.min.mjs')
  ort.env.wasm.numThreads = threads
  ort.env.wasm.wasmPaths = '/'
  const start = performance.now()
  const session = await ort.InferenceSession.create('/model.onnx', { executionProviders: ['wasm'] })
  const loaded = performance.now() - start
  const values = new Float32Array(await (await fetch('/window.bin')).arrayBuffer())
  const times = []
  let scores
  for (let i = 0; i < runs + 2; i++) {
    const before = performance.now()
    ;({ scores } = await session.run({ windows: new ort.Tensor('float32', values, shape) }))
    times.push(performance.now() - before)
  }
  return { isolated: crossOriginIsolated, loaded, times: times.slice(2), scores: Array.from(scores.data) }
}
"""


class Isolated(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; its pages may use several threads."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def end_headers(self) -> None:
        """Add the two headers without which a browser gives WebAssembly one thread only."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Measure here and there, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", type=Path, required=True, help="The folder `dist` of onnxruntime-web.")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    version = json.loads((given.runtime.parent / "package.json").read_text())["version"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in FILES:
            (folder / file).symlink_to((given.runtime / file).resolve())
        (folder / "index.html").write_text("<!doctype html><title>clicks</title>")
        package = package_of_clicks(folder / "package")
        export_onnx(package, folder)
        model = ClickModel(package)
        window = _window(model)
        window.tofile(folder / "window.bin")
        expected, times = _in_server(model, window, given.runs)
        rows = {f"server, {model.engine.name}": _row(times)}
        notes = []
        with _served(folder) as address, chromium() as browser:
            for threads in (1, 2):
                page = browser.new_page()
                page.goto(address)
                found = page.evaluate(SCRIPT, {"threads": threads, "runs": given.runs, "shape": list(window.shape)})
                assert found["isolated"], "the page is not isolated, so that it has one thread"
                rows[f"browser, {threads} thread{'s'[: threads - 1]}"] = _row([t / 1000 for t in found["times"]])
                away = np.abs(np.array(found["scores"], np.float32) - expected.ravel()).max() / np.ptp(expected)
                notes.append(
                    f"{threads}: loaded in {found['loaded'] / 1000:.1f} s, outputs off by {away:.1e} of their range"
                )
                page.close()
        server, *browsers = (float(p50) for p50, _ in rows.values())
        weights = (folder / "model.onnx").stat().st_size / 1e6
        runtime = sum((given.runtime / file).stat().st_size for file in FILES) / 1e6
    shape = " x ".join(str(side) for side in window.shape[2:])
    write(
        given.page,
        "Clicks answered in the browser",
        [
            "`python benchmarks/bench_clicks_in_browser.py`, whose head says how: the network of "
            f"`configs/hippocampus.yaml` with channels for clicks and random weights, one patch of {shape} voxels, "
            f"{given.runs} runs after two that warm up. Preparing a patch and drawing its answer are not in the time.",
            table(["p50 s", "p95 s"], rows),
            f"onnxruntime-web {version}, WebAssembly with SIMD; by threads, {'; '.join(notes)}. A browser would load "
            f"{runtime:.1f} MB of the runtime and {weights:.1f} MB of the network, hold the prepared scan once more, "
            "and need a page isolated from other origins.",
            f"The browser took {min(browsers) / server:.1f} times as long as the server at least. {load()}",
        ],
    )


def _window(model: ClickModel) -> np.ndarray:
    """One patch as a click gives it to the network, (1, C, X, Y, Z)."""
    shape = model.patch
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    middle = np.array([[side // 2 for side in shape]])
    away = np.sqrt(sum((axis - side / 2) ** 2 for axis, side in zip(np.indices(shape), shape, strict=True)))
    shown = network_input(image, away < 8, [Interaction(middle), Interaction(middle + 3, True)], model.card)
    return np.ascontiguousarray(shown[None], np.float32)


def _in_server(model: ClickModel, window: np.ndarray, runs: int) -> tuple[np.ndarray, list[float]]:
    times = []
    for _ in range(runs + 2):
        before = time.perf_counter()
        scores = model.engine.run(window)[0]
        times.append(time.perf_counter() - before)
    return np.asarray(scores, np.float32), times[2:]


def _row(seconds: list[float]) -> list[str]:
    return [f"{statistics.median(seconds):.3f}", f"{np.percentile(seconds, 95):.3f}"]


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    handler: Any = functools.partial(Isolated, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


if __name__ == "__main__":
    main()
