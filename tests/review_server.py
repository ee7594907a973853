"""A review server in a thread of the test, reached by real requests."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import requests
from local_server import app_served

from medseg.review.adjudication import open_adjudication
from medseg.review.opening import open_store
from medseg.review.sample import draw_sample
from medseg.review.server.app import ReviewApp
from medseg.review.server.click_answers import Answerer
from medseg.review.server.listening import allowed_hosts, listen
from medseg.review.server.reading import Reading
from medseg.review.server.security import Access
from medseg.review.store import Store

KEY = "the-key"
WRITE = {"X-Medseg": "1"}


class Client:
    """A client with the key."""

    def __init__(self, port: int, store: Store, access: Access) -> None:
        self.at, self.store, self.port, self.access = f"http://127.0.0.1:{port}", store, port, access
        self.session = requests.Session()
        self.session.cookies.set(f"medseg_key_{port}", KEY)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(f"{self.at}/api/{path}", timeout=30, **more)

    def labels(self, case_id: str, query: str = "") -> nib.Nifti1Image:
        return nib.Nifti1Image.from_bytes(self.get(f"case/{case_id}/labels{query}").content)

    def put(self, case_id: str, body: bytes, revision: int | str | None = 0, **headers: str) -> requests.Response:
        match = {} if revision is None else {"If-Match": str(revision)}
        return self.session.put(
            f"{self.at}/api/case/{case_id}/labels", data=body, headers={**WRITE, **match, **headers}, timeout=30
        )

    def draw(self, case_id: str, voxel: tuple[int, int, int], value: int, revision: int = 0) -> requests.Response:
        """Draw one voxel, given in the order of the file that is sent."""
        image = self.labels(case_id)
        array = np.array(np.asanyarray(image.dataobj))
        array[voxel] = value
        return self.put(case_id, gzip.compress(nifti(array, image)), revision)

    def judge(self, case_id: str, **verdict: Any) -> requests.Response:
        return self.session.post(f"{self.at}/api/case/{case_id}/verdict", json=verdict, headers=WRITE, timeout=30)


def nifti(array: np.ndarray, like: nib.Nifti1Image, affine: np.ndarray | None = None) -> bytes:
    """An uncompressed file with other voxels, or another affine."""
    return nib.Nifti1Image(array, like.affine if affine is None else affine).to_bytes()


@contextmanager
def serving(
    out: Path,
    *,
    reviewer: str = "Ada",
    trust_header: str | None = None,
    sample: int | None = None,
    adjudicate: tuple[str, ...] = (),
    clicks: Answerer | None = None,
    scans: Path | None = None,
    allow_host: tuple[str, ...] = (),
    **how: bool,
) -> Iterator[Client]:
    where = [] if scans is None else [scans]
    with open_store(out, create=True, scans=where) as store, listen("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        access = Access(KEY, port, allowed_hosts("127.0.0.1", port, allow_host), trust_header=trust_header)
        drawn = None if sample is None else draw_sample(store, sample, reviewer)
        settled = open_adjudication(store, adjudicate, reviewer=reviewer) if adjudicate else None
        app = ReviewApp(Reading(store, reviewer, sample=drawn, adjudication=settled, **how), access, clicks)
        with app_served(app.asgi(), opened):
            yield Client(port, store, access)
