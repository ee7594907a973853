"""The page on DICOM conformance says what the node accepts and what the writers write."""

from __future__ import annotations

import re

from page_commands import ROOT
from pydicom.uid import ComprehensiveSRStorage, RTStructureSetStorage, SecondaryCaptureImageStorage

from medseg.io.dicom.header import SEGMENTATIONS
from medseg.service.dimse import SYNTAXES
from medseg.service.node.receive import ACCEPTED

PAGE = (ROOT / "docs/reference/dicom-conformance.md").read_text(encoding="utf-8")


def test_the_node_accepts_what_the_page_says() -> None:
    rows = re.findall(r"\| (1\.2\.840\.10008\.1\.2[\d.]*) \| (yes|no) \| yes \|", PAGE)
    assert {uid for uid, accepted in rows if accepted == "yes"} == {str(uid) for uid in ACCEPTED}
    assert {str(uid) for uid in SYNTAXES} <= {uid for uid, _ in rows}


def test_the_classes_of_what_is_written_are_named() -> None:
    named = set(re.findall(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.[\d.]*\d", PAGE))
    written = (*SEGMENTATIONS, RTStructureSetStorage, ComprehensiveSRStorage, SecondaryCaptureImageStorage)
    assert named == {str(uid) for uid in written}
