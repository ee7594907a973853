"""What is known of a scanner by its header: maker and model, never a place or a person."""

from __future__ import annotations

from small_series import small_series

from medseg.engine.journal import hash_files
from medseg.engine.run_files import remember_inputs
from medseg.monitoring.scan_facts import scan_facts
from medseg.review.scan_finder import ScanFinder


def test_scanner_spacing_and_intensities(tmp_path):
    source, _ = small_series(
        tmp_path / "scans",
        Manufacturer="ACME",
        ManufacturerModelName="Ring 3",
        MagneticFieldStrength="1.5",
        StationName="ROOM-7",
        InstitutionName="Clinic",
        PatientName="Somebody",
    )
    (tmp_path / "out").mkdir()
    remember_inputs(tmp_path / "out", [tmp_path / "scans"])
    texts, figures = scan_facts(ScanFinder(tmp_path / "out"), "case", hash_files(source.files))
    assert texts == {"modality": "MR", "manufacturer": "ACME", "scanner": "Ring 3"}
    assert figures["field_strength_t"] == 1.5
    assert figures["spacing_between_slices_mm"] == 2.5
    assert abs(figures["spacing_in_plane_mm"] - 0.7) < 1e-6
    assert 100 <= figures["intensity_p5"] <= figures["intensity_p50"] <= figures["intensity_p95"] <= 105


def test_a_scan_that_is_gone_leaves_blanks(tmp_path):
    (tmp_path / "out").mkdir()
    assert scan_facts(ScanFinder(tmp_path / "out"), "case", "0" * 64) == ({}, {})
