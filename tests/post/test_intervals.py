"""Intervals of volumes: what split conformal prediction promises, and where none may be given."""

import csv
import io
from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objects_for_tests import label_map, prediction
from pydicom.sr.codedict import codes
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.engine.batch_report import render_report
from medseg.engine.stages.checks import Measure
from medseg.engine.stages.options import StageOptions
from medseg.io.dicom_results.sr import write_sr
from medseg.io.measurements import table_of_measurements
from medseg.post.intervals import UNUSUAL, conformal_quantile, interval_rule, residual, with_intervals
from medseg.post.volumes import measure_volumes
from medseg.types import LabelClass, LabelTable
from medseg.types.expected_result import ExpectedResult
from medseg.types.run import BatchResult, CaseOutcome, Volumes
from medseg.types.volume_interval import IntervalRule

TABLE = LabelTable((LabelClass(1, "liver"), LabelClass(2, "tumor"), LabelClass(3, "absent")))
RULE = IntervalRule(0.9, 1.0, {"liver": 0.1, "absent": 0.1}, {"liver": 42, "tumor": 6, "absent": 42})


def predicted(**changes):
    array = np.zeros((10, 10, 10), np.uint8)
    array[:5], array[7] = 1, 2
    return prediction(label_map(array, np.diag([2, 2, 2, 1]), TABLE), **{"interval_rule": RULE, **changes})


def measured(found):
    return with_intervals(measure_volumes(found.labels), found)


@given(st.lists(st.floats(0, 100), min_size=9, max_size=60))
def test_the_quantile_is_the_smallest_that_enough_of_the_cases_and_one_more_lie_within(residuals):
    quantile = conformal_quantile(residuals, 0.9)
    n = len(residuals)
    assert sum(one <= quantile for one in residuals) >= 0.9 * (n + 1) - 1e-9
    assert sum(one < quantile for one in residuals) < 0.9 * (n + 1)


def test_fewer_than_nine_cases_cannot_give_ninety_percent():
    assert conformal_quantile([1.0] * 8, 0.9) is None
    assert conformal_quantile([float(n) for n in range(9)], 0.9) == 8
    assert RULE.least_cases == 9
    assert IntervalRule(0.95, 1).least_cases == 19


@pytest.mark.parametrize("power", [0.0, 2 / 3, 1.0])
def test_intervals_hold_as_often_as_promised_whatever_the_errors_are_like(power):
    """Drawn from a distribution with heavy tails and a bias; the mean over draws is at least the level."""
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        sizes = rng.lognormal(1, 1, 40)
        found = sizes * np.exp(0.1 + 0.1 * rng.standard_t(3, 40))
        rule = interval_rule({"x": list(zip(sizes[:20], found[:20], strict=True))}, 0.9, power)
        between = [rule.interval("x", one) for one in found[20:]]
        inside.append(np.mean([b.low <= v <= b.high for b, v in zip(between, sizes[20:], strict=True)]))
    assert 0.89 < np.mean(inside) < 0.95


def test_a_missed_class_counts_as_wrong_by_any_amount_and_an_absent_one_not_at_all():
    pairs = [(1.0, 1.1)] * 20
    assert interval_rule({"x": [*pairs, (0.0, 0.0)]}).cases == {"x": 20}
    assert residual(1.0, 0.0) == np.inf
    assert "x" not in interval_rule({"x": [*pairs[:8], (1.0, 0.0)]}).half_width


def test_each_volume_gets_its_own_and_a_class_of_too_few_cases_a_note():
    volumes = measured(predicted())
    liver, tumor, absent = volumes.rows
    assert (liver.interval.low, liver.interval.high) == pytest.approx((3.6, 4.4))
    assert str(liver.interval) == "3.6 to 4.4, 90% interval from 42 held-out cases"
    assert tumor.interval is None
    assert absent.interval is None
    assert volumes.notes == ("tumor: No interval of the volume, as 6 held-out cases are too few for 90% (at least 9).",)
    few = replace(RULE, half_width={}, cases={"liver": 6, "tumor": 6, "absent": 1})
    (note,) = measured(predicted(interval_rule=few)).notes
    assert note.startswith("liver, tumor: No interval of the volume, as 6 held-out cases are too few")
    assert Measure(StageOptions()).report(volumes).notes == volumes.notes
    assert replace(Volumes.from_json(volumes.to_json()), notes=volumes.notes) == volumes


@pytest.mark.parametrize(
    "changes",
    [{"out_of_distribution": ("Spacing.",)}, {"expected": ExpectedResult(anyway=True, overridden=("No CT.",))}],
)
def test_a_scan_unlike_those_of_training_has_none_and_it_is_said(changes):
    volumes = measured(predicted(**changes))
    assert all(row.interval is None for row in volumes.rows)
    assert volumes.notes == (UNUSUAL,)


def test_a_model_without_says_nothing():
    volumes = measured(predicted(interval_rule=None))
    assert volumes.notes == ()
    assert "interval" not in table_of_measurements(volumes)


def test_an_area_has_the_limits_of_an_area():
    array = np.zeros((20, 20, 1), np.uint8)
    array[:10] = 1
    found = prediction(label_map(array, np.eye(4), TABLE), interval_rule=RULE, extent="area_px")
    row = with_intervals(measure_volumes(found.labels, None, "area_px"), found).rows[0]
    assert (row.interval.low, row.interval.high) == pytest.approx((180, 220))


def test_table_and_report_give_them(tmp_path):
    volumes = measured(predicted())
    first, second, _ = csv.DictReader(io.StringIO(table_of_measurements(volumes)))
    assert (first["interval_low"], first["interval_high"], first["interval_cases"]) == ("3.6", "4.4", "42")
    assert second["interval_low"] == ""
    page = render_report(BatchResult(tmp_path, (CaseOutcome("a", "done", "a.nii", tmp_path / "a", volumes=volumes),)))
    assert "(3.60 to 4.40)" in page
    assert "3.6 to 4.4, 90% interval from 42 held-out cases" in page


def test_the_structured_report_gives_them_as_ranges_of_uncertainty(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry)
    rule = IntervalRule(0.9, 1.0, {"liver": 0.1}, {"liver": 42})
    volumes = with_intervals(measure_volumes(labels), prediction(labels, interval_rule=rule))
    write_sr(labels, source, tmp_path / "labels.sr.dcm", model=MODEL, volumes=volumes)
    groups = hd.sr.srread(tmp_path / "labels.sr.dcm").content.get_volumetric_roi_measurement_groups()
    liver, other = (group.get_measurements(name=codes.SCT.Volume)[0] for group in groups[:2])
    (upper,), (lower,) = (stated(liver, code) for code in ("371886008", "371885007"))
    assert upper == pytest.approx(0.1 * liver.value, rel=1e-4)
    assert lower == pytest.approx(0.1 * liver.value, rel=1e-4)
    assert "90% interval" in str(liver[0])
    assert stated(other, "371886008") == []


def stated(measurement, code):
    """Values of a measurement's content items of a code."""
    items = measurement[0].get("ContentSequence") or ()
    found = [item.MeasuredValueSequence[0] for item in items if item.ConceptNameCodeSequence[0].CodeValue == code]
    assert all(one.MeasurementUnitsCodeSequence[0].CodeValue == "ml" for one in found)
    return [float(one.NumericValue) for one in found]
