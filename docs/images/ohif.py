"""Makes the image of a DICOM SEG in OHIF: the shipped model's hippocampi over the head they were found in.

The head is the MNI152 T1 template that comes with nilearn. Needs the set-up of `make test-peers`.

Usage: python docs/images/ohif.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from peers.ohif import Viewer, chromium_page, serving_ohif  # noqa: E402
from peers.orthanc import running_orthanc  # noqa: E402

from medseg.demo.dicom import write_series  # noqa: E402
from medseg.demo.scans import _template, lay_out  # noqa: E402
from medseg.engine.predict import predict  # noqa: E402
from medseg.io.formats import Labeled, write  # noqa: E402
from medseg.io.read import load_scan, read_labels  # noqa: E402
from medseg.models.package import load_package  # noqa: E402
from medseg.prepare.regrid import regrid  # noqa: E402
from medseg.service.archive import Archive  # noqa: E402
from medseg.service.push import push  # noqa: E402
from medseg.types import Geometry, LabelMap  # noqa: E402

MODEL = "hippocampus"
HEAD = (slice(6, 190), slice(8, 224), slice(20, 110))  # of the template's voxels: without most of the air


def main() -> None:
    """Segment both hippocampi, send head and labels to an archive, and photograph OHIF."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = make_study(folder)
        with running_orthanc(folder) as archive, serving_ohif(archive) as address, chromium_page() as page:
            push([folder / "study"], Archive.parse(archive.dicom))
            scan = load_scan(folder / "study" / "mr")
            viewer = Viewer.open(page, address, str(scan.source.study_uid))
            viewer.load("SEG")
            k = int(np.bincount(np.nonzero(study.array)[2]).argmax())
            first = study.geometry.to_world((0, 0, k)) * [-1, -1, 1]
            viewer.go_to(tuple(first.tolist()))
            page.screenshot(path=HERE / "ohif.png")


def make_study(folder: Path) -> LabelMap:
    """Write the head as a DICOM series and the labels of both hippocampi as a DICOM SEG of it; return the labels."""
    lay_out(folder / "scans")
    result = predict(folder / "scans", MODEL, folder / "results")
    template = _template()
    grid = Geometry(template.affine, template.shape[:3])
    corner = grid.affine.copy()
    corner[:3, 3] = grid.to_world([axis.start for axis in HEAD])
    voxels = np.asarray(template.dataobj[HEAD], np.float32)
    head = Geometry(corner, voxels.shape)
    gray = (voxels / voxels.max() * 1000).astype(np.int16)
    write_series(gray, head, folder / "study" / "mr", description="T1 template")
    scan = load_scan(folder / "study" / "mr")
    package = load_package(MODEL)
    array = np.zeros(scan.geometry.shape, np.uint8)
    for case in (outcome.folder for outcome in result.outcomes if outcome.folder and outcome.state == "done"):
        found = regrid(read_labels(case / "labels.nii.gz"), scan.geometry).array
        array[found > 0] = found[found > 0]
    labels = LabelMap(array, scan.geometry, package.card.table)
    write("dicom-seg", Labeled(labels, scan.source, package.identity), folder / "study" / "seg")
    return labels


if __name__ == "__main__":
    main()
