"""OHIF's published build in a headless Chromium, looking into an Orthanc on loopback.

OHIF is a single page that wants its data from the same origin: a small server gives its files, and passes on what it
asks of `/dicom-web`.
"""

import contextlib
import http.server
import io
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_server import web_server
from peers.orthanc import Orthanc
from PIL import Image

CACHE = Path(__file__).parents[2] / ".peers"
SERVICE = "/dicom-web"
PATIENCE = 120_000  # milliseconds; software rendering on a busy machine is slow
VIEWPORT = "cornerstone.getEnabledElements()[0]?.viewport"
CONFIG = {
    "routerBasename": None,
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": False,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "Orthanc",
                "name": "orthanc",
                "qidoRoot": SERVICE,
                "wadoRoot": SERVICE,
                "wadoUriRoot": SERVICE,
                "qidoSupportsIncludeField": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsWildcard": True,
                "omitQuotationForMultipartRequest": True,
                "bulkDataURI": {"enabled": False},
            },
        }
    ],
}


def ohif_build() -> Path:
    """Folder of OHIF's build; skips the test where it has not been fetched."""
    folder = CACHE / "ohif" / "package" / "dist"
    if not (folder / "index.html").is_file():
        pytest.skip("OHIF is not there (python tests/peers/install.py)")
    return folder


@contextmanager
def serving_ohif(archive: Orthanc) -> Iterator[str]:
    """Serve OHIF on loopback, in front of an archive; yields its address."""
    build = ohif_build()

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {  # noqa: RUF012
            **http.server.SimpleHTTPRequestHandler.extensions_map,
            ".wasm": "application/wasm",
            ".js": "text/javascript",
        }

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, directory=str(build), **named)

        def end_headers(self) -> None:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path.startswith(SERVICE):
                self._pass_on()
            elif path == "/app-config.js":
                self._answer(HTTPStatus.OK, "text/javascript", f"window.config = {json.dumps(CONFIG)};".encode())
            else:
                if not (build / path.lstrip("/")).is_file():
                    self.path = "/index.html"
                super().do_GET()

        def _pass_on(self) -> None:
            request = urllib.request.Request(archive.http + self.path)
            request.add_header("Authorization", archive.login)
            if "Accept" in self.headers:
                request.add_header("Accept", self.headers["Accept"])
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self._answer(answer.status, answer.headers.get("Content-Type", ""), answer.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, "text/plain", b"")

        def _answer(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with web_server(Handler) as address:
        yield address


@contextmanager
def chromium_page(width: int = 1400, height: int = 900) -> Iterator[Any]:
    """A page of a headless Chromium that draws WebGL in software; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    arguments = [
        *("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
        *("--ignore-gpu-blocklist", "--disable-dev-shm-usage", "--disable-background-networking"),
    ]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


@dataclass
class Viewer:
    """A user in front of OHIF, with a study open on a page of Playwright's."""

    page: Any
    thumbnails = '[data-cy^="study-browser-thumbnail"]'

    @classmethod
    def open(cls, page: Any, address: str, study_uid: str) -> "Viewer":
        """Open a study and wait until its first series is drawn."""
        page.goto(f"{address}/viewer?StudyInstanceUIDs={study_uid}")
        page.wait_for_selector(cls.thumbnails, timeout=PATIENCE)
        page.get_by_text("Skip all").first.click(timeout=PATIENCE)  # the tour for newcomers
        viewer = cls(page)
        page.wait_for_function(f"() => {VIEWPORT}?.getImageData?.() != null", timeout=PATIENCE)
        viewer.settle()
        return viewer

    def load(self, modality: str) -> None:
        """Load the derived series of a modality (SEG, RTSTRUCT) over the images it refers to."""
        self.page.locator(self.thumbnails).filter(has_text=modality).first.dblclick()
        self.page.get_by_role("button", name="Yes").click(timeout=PATIENCE)
        self.page.wait_for_function(
            "() => services.segmentationService.getSegmentations().length > 0", timeout=PATIENCE
        )
        self.settle()

    def go_to(self, position: tuple[float, ...]) -> None:
        """Scroll to the slice whose first pixel lies at a position, mm LPS+."""
        found = self.page.evaluate(
            f"""async position => {{
                const viewport = {VIEWPORT};
                const distance = id => Math.hypot(...cornerstone.metaData.get("imagePlaneModule", id)
                    .imagePositionPatient.map((value, axis) => value - position[axis]));
                const distances = viewport.getImageIds().map(distance);
                const index = distances.indexOf(Math.min(...distances));
                await viewport.setImageIdIndex(index);
                return distances[index];
            }}""",
            list(position),
        )
        assert found < 0.01, f"the nearest slice is {found} mm away"
        self.settle()

    def picture(self) -> np.ndarray:
        """Photograph the viewport: uint8, shape (rows, columns, 3), without the words drawn over it."""
        place = self.page.locator(".cornerstone-canvas").first.bounding_box()
        shot = np.asarray(Image.open(io.BytesIO(self.page.screenshot(clip=place))).convert("RGB"))
        rows, columns = shot.shape[:2]
        return shot[rows // 8 : -rows // 8, columns // 8 : -columns // 8]

    def pixels_per_mm(self) -> float:
        """How large the viewport draws."""
        found = self.page.evaluate(
            f"""() => {{
                const viewport = {VIEWPORT};
                const [a, b] = [[0, 0], [100, 0]].map(point => viewport.canvasToWorld(point));
                return 100 / Math.hypot(...a.map((value, axis) => value - b[axis]));
            }}"""
        )
        return float(found)

    def settle(self) -> None:
        """Wait until two photographs half a second apart are the same."""
        before = None
        for _ in range(60):
            self.page.wait_for_timeout(500)
            now = self.page.screenshot()
            if now == before:
                return
            before = now
        raise AssertionError("OHIF does not come to rest")
