import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from medseg.errors import InputError, UsageError
from medseg.evaluation.aggregate import Bootstrap, aggregate
from medseg.evaluation.compare import compare, holm
from medseg.evaluation.compare_tables import comparison_text
from medseg.evaluation.metrics.definitions import METRICS, metric
from medseg.evaluation.tables import latex_table, per_case_csv, read_per_case
from medseg.io.files.atomic import write_text
from medseg.types import MeasurementRow

NAN, INF = math.nan, math.inf


def of(figures, name="dice", patients=None, n=2000, seed=0, **options):
    bootstrap = Bootstrap(patients or {case: case for case in figures}, n, seed)
    return aggregate({("liver", name): figures}, bootstrap, **options)["liver", name]


def test_undefined_and_infinite_values_are_counted_and_not_averaged():
    found = of({"a": 1.0, "b": 3.0, "c": NAN, "d": INF, "e": INF}, "hd95")
    assert (found.mean, found.median, found.std) == (2, 2, pytest.approx(math.sqrt(2)))
    assert (found.cases, found.undefined, found.infinite) == (2, 1, 2)
    assert found.worst == (("e", INF), ("d", INF), ("b", 3.0), ("a", 1.0)) or found.worst[0][1] == INF


def test_a_penalty_stands_in_for_infinite_distances_and_for_nothing_else():
    values = {("liver", "hd"): {"a": 1.0, "b": INF}, ("liver", "relative_volume_difference"): {"a": 0.5, "b": INF}}
    found = aggregate(values, Bootstrap({"a": "a", "b": "b"}), penalty=99)
    assert (found["liver", "hd"].mean, found["liver", "hd"].infinite) == (50, 1)
    relative = found["liver", "relative_volume_difference"]
    assert (relative.mean, relative.cases) == (0.5, 1)


def test_nothing_to_average():
    found = of({"a": NAN, "b": NAN})
    assert math.isnan(found.mean)
    assert math.isnan(found.interval[0])
    assert (found.cases, found.undefined, found.worst) == (0, 2, ())


@pytest.mark.parametrize(
    ("name", "worst"),
    [("dice", "a"), ("hd95", "c"), ("volume_difference_ml", "a"), ("nsd@2mm", "a"), ("lesion_fp", "c")],
)
def test_worst_is_worst_whichever_way_is_good(name, worst):
    assert of({"a": -9.0, "b": 0.5, "c": 3.0}, name, worst=1).worst[0][0] == worst


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says():
    """95 of 100 intervals should hold the true mean; by percentiles of 30 normal cases it is about 93."""
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        sample = dict(zip(map(str, range(30)), rng.normal(5, 2, 30), strict=True))
        low, high = of(sample, n=400, seed=trial).interval
        held += low <= 5 <= high
    assert 0.88 <= held / 200 <= 0.98


def test_cases_of_one_patient_are_drawn_together():
    """Ten copies of a patient's case carry no more news than one."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 12)
    single = {f"p{i}": float(v) for i, v in enumerate(values)}
    copied = {f"p{i}-{k}": float(v) for i, v in enumerate(values) for k in range(10)}
    alone = of(single, n=4000).interval
    together = of(copied, patients={case: case.split("-")[0] for case in copied}, n=4000).interval
    naive = of(copied, n=4000).interval
    assert together == pytest.approx(alone)
    assert naive[1] - naive[0] < 0.5 * (alone[1] - alone[0])


def test_bootstrap_means_of_columns_with_gaps():
    matrix = np.array([[1.0, np.nan], [3.0, 5.0]])
    means = Bootstrap({"a": "a", "b": "b"}, 200).means(matrix, ["a", "b"])
    assert set(means[:, 0].tolist()) == {1.0, 2.0, 3.0}
    assert set(means[~np.isnan(means[:, 1]), 1].tolist()) == {5.0}
    assert np.isnan(means[:, 1]).any()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, NAN]) == pytest.approx([0.03, 0.06, 0.06, NAN], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def evaluation(root, name, **columns):
    """Write a per_case.csv of class liver from columns of values."""
    rows = [
        MeasurementRow(f"case{i}", "liver", metric_name.replace("_at_", "@"), float(value))
        for metric_name, values in columns.items()
        for i, value in enumerate(values)
    ]
    write_text(root / name / "per_case.csv", per_case_csv(rows))
    return root / name


@pytest.fixture
def trio(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.uniform(0.7, 0.9, 20)
    return (
        evaluation(tmp_path, "old", dice=base, hd95=10 * (1 - base)),
        evaluation(tmp_path, "new", dice=base + rng.uniform(0.01, 0.05, 20), hd95=9 * (1 - base)),
        evaluation(tmp_path, "same", dice=base + rng.normal(0, 0.01, 20), hd95=10 * (1 - base)),
    )


def test_paired_differences_and_their_test(trio):
    found = compare(trio)
    by_key = {(d.first, d.second, d.metric): d for d in found.differences}
    old, new = ({r.case_id: r.value for r in read_per_case(p) if r.metric == "dice"} for p in trio[:2])
    gaps = np.array([new[case] - old[case] for case in old])
    difference = by_key["old", "new", "dice"]
    assert difference.mean == pytest.approx(gaps.mean())
    assert difference.p == pytest.approx(wilcoxon(gaps).pvalue)
    assert difference.interval[0] < gaps.mean() < difference.interval[1]
    assert len(found.differences) == 6
    assert difference.p_holm >= difference.p
    assert "new is significantly better" in difference.sentence
    assert f"mean paired difference {gaps.mean():+.3f}, 95% CI +" in difference.sentence
    assert "p < 0.001 after Holm's correction" in difference.sentence
    assert "not significant" in by_key["old", "same", "dice"].sentence
    assert by_key["old", "same", "hd95"].p == 1.0
    assert "new is significantly better" in by_key["old", "new", "hd95"].sentence


def test_patients_are_those_the_evaluations_had(trio, tmp_path):
    alone = compare(trio[:2]).differences[0]
    patients = {f"case{i}": f"p{i // 10}" for i in range(20)}
    write_text(trio[0] / "summary.json", json.dumps({"patient_of": patients}))
    found = compare(trio[:2]).differences[0]
    write_text(tmp_path / "t.csv", "case_id,patient\n" + "".join(f"{c},{p}\n" for c, p in patients.items()))
    assert found == compare(trio[:2], table=tmp_path / "t.csv").differences[0]
    assert found.interval != alone.interval
    write_text(trio[1] / "summary.json", json.dumps({"patient_of": {"case0": "p7"}}))
    with pytest.raises(InputError, match="case0 is of patient p0 in one evaluation and of p7 in another"):
        compare(trio[:2])


def test_ranking_and_its_stability(trio):
    dice = next(r for r in compare(trio).rankings if r.metric == "dice")
    assert dice.ranks["new"] == 1
    assert dice.frequencies["new"] == [1.0, 0.0, 0.0]
    assert dice.frequencies["old"][0] == 0
    assert 0 < dice.frequencies["old"][1] < 1
    assert 0 < dice.kendall_tau < 1
    assert "new came first in 100% of bootstrap resamples" in dice.sentence


def test_equal_evaluations_have_no_order(tmp_path):
    a, b, c = (evaluation(tmp_path, n, dice=[v, v + 0.1] * 3) for n, v in (("a", 0.7), ("b", 0.7), ("c", 0.6)))
    assert [r.sentence for r in compare([a, b]).rankings] == ["By dice the evaluations are equal."]
    (three,) = compare([c, a, b]).rankings
    assert three.sentence.startswith("By dice the order is a = b, c; a and b came first in 100% of bootstrap resamples")
    assert "nan" not in three.sentence


def test_infinite_and_undefined_pairs(tmp_path):
    a = evaluation(tmp_path, "a", hd95=[1, 2, 3, 4, INF, INF, NAN, 5])
    b = evaluation(tmp_path, "b", hd95=[2, 3, 4, 5, INF, 1, 1, INF])
    (difference,) = compare([a, b]).differences
    assert (difference.cases, difference.infinite, difference.skipped) == (7, 3, 1)
    assert difference.mean == 1
    expected = [1, 1, 1, 1, 0, -2, 2]  # infinite differences rank above all others, two infinite ones do not differ
    assert difference.p == pytest.approx(wilcoxon(expected).pvalue)


@pytest.mark.parametrize("cases", [5, 6])
def test_fewer_than_six_cases_claim_nothing(cases, tmp_path):
    """However large the difference is; six are enough for one in every case."""
    old, new = (
        evaluation(tmp_path, n, dice=[v + i / 100 for i in range(cases)]) for n, v in (("old", 0.1), ("new", 0.9))
    )
    found = compare([old, new], out=tmp_path / "out")
    (difference,) = found.differences
    text = comparison_text(found)
    tables = [(tmp_path / "out" / name).read_text() for name in ("compare.json", "compare.tex")]
    assert difference.mean == pytest.approx(0.8)
    if cases == 6:
        assert "new is significantly better" in text
        assert "the order is new, old" in text
        return
    assert "fewer than 6 cases say nothing about which is better" in text
    assert math.isnan(difference.p)
    assert math.isnan(difference.p_holm)
    assert math.isnan(difference.interval[0])
    assert found.rankings == ()
    assert found.tests == 0
    for word in ("significan", "p =", "p <", "95% CI", "came first", "order is"):
        assert word not in text
        assert not any(word in table for table in tables)


def test_comparison_leaves_tables(trio, tmp_path):
    result = compare(trio, metrics=["dice"], out=tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["compare.csv", "compare.json", "compare.tex"]
    assert (tmp_path / "out" / "compare.csv").read_text().startswith("first,second,class,metric,mean_first")
    assert "3 tests, corrected together" in comparison_text(result)


def test_what_cannot_be_compared(trio, tmp_path):
    write_text(tmp_path / "odd" / "per_case.csv", "case,value\na,1\n")
    for error, words, folders, metrics in (
        (UsageError, "two evaluations or more", trio[:1], ()),
        (UsageError, "given twice", [trio[0], trio[0]], ()),
        (UsageError, "`metrics` pq: not all evaluations have this metric", trio, ["pq"]),
        (UsageError, "there is no such file or folder", [trio[0], tmp_path / "absent"], ()),
        (InputError, "is not an evaluation", [trio[0], tmp_path / "odd"], ()),
    ):
        with pytest.raises(error, match=words):
            compare(folders, metrics=metrics)


def test_csv_keeps_every_digit_nan_and_infinity(tmp_path):
    values = [0.1 + 0.2, NAN, INF, -INF, 1e-300]
    rows = [MeasurementRow("c,1", "a b", "relative_volume_difference", v) for v in values]
    write_text(tmp_path / "per_case.csv", per_case_csv(rows))
    back = [row.value for row in read_per_case(tmp_path)]
    assert back == pytest.approx(values, nan_ok=True, rel=0, abs=0)
    frame = pd.read_csv(tmp_path / "per_case.csv")
    assert list(frame.columns) == ["case_id", "class", "metric", "value"]
    assert frame.value.tolist() == pytest.approx(values, nan_ok=True, rel=1e-15)


def test_latex_says_what_its_means_leave_out():
    node = {"mean": 0.5, "ci95": [0.4, 0.6], "undefined": 1, "infinite": 0}
    far = {"mean": 7.0, "ci95": [NAN, NAN], "undefined": 0, "infinite": 2}
    text = latex_table({"a_b & c": {"dice": node, "hd95": far}}, 9, 8)
    assert r"a\_b \& c & 0.500 [0.400, 0.600] & 7.00 \\" in text
    assert "Up to 1 undefined values a cell are skipped. Up to 2 infinite distances a cell are skipped." in text
    assert "count as 99 mm" in latex_table({"a": {"dice": node, "hd95": far}}, 9, 8, penalty=99)


def test_every_metric_says_what_it_is():
    assert metric("nsd@2mm").sentence.endswith("border voxels within 2 mm of the other.")
    assert metric("f1@0.75").title == "F1 @ 0.75"
    assert all(known.sentence.endswith(".") for known in METRICS.values())
