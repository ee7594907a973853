import csv

import pytest

from medseg.cli.app import run
from medseg.io.files.csv_table import columns_and_rows, table_rows

HEADER = "case_id,class,metric,value"


def test_rows_by_column_and_what_a_row_lacks_is_empty():
    assert columns_and_rows(["a,b", "1,2", "3", "4,5,", ""]) == (
        ["a", "b"],
        [{"a": "1", "b": "2"}, {"a": "3", "b": ""}, {"a": "4", "b": "5"}],
    )
    assert table_rows(["a\tb", "1,\t2"], "excel-tab") == [{"a": "1,", "b": "2"}]
    assert columns_and_rows([]) == ([], [])


def test_what_is_no_table_is_a_value_error():
    with pytest.raises(ValueError, match="row 3 has more cells"):
        table_rows(["a,b", "1,2", "1,2,3"])
    with pytest.raises(ValueError, match="two columns are called 'a'"):
        table_rows(["a,b, a", "1,2,3"])
    assert table_rows(["a,,", "1,,"]) == [{"a": "1", "": ""}]
    with pytest.raises(ValueError, match="field"):
        table_rows(["a", "x" * (csv.field_size_limit() + 1)])


@pytest.mark.parametrize("last", ["case1,liv", "case1", "case1,liver,dice,.5,6", "case1,liver,dice,", '"case1'])
def test_a_damaged_row_is_refused_with_a_sentence(tmp_path, capsys, last):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "per_case.csv").write_text(f"{HEADER}\ncase0,liver,dice,.5\n{last}")
    assert run(["compare", str(tmp_path / "one"), str(tmp_path / "two")]) == 4
    said = capsys.readouterr().err
    assert "cannot be read as an evaluation" in said
    assert "bug" not in said
    cases = tmp_path / "cases.csv"
    cases.write_text(f"case_id,prediction\ncase0,a.nii.gz\n{last},,x")
    assert run(["evaluate", str(tmp_path), str(tmp_path), "--table", str(cases), "--out", str(tmp_path / "o")]) in (
        2,
        4,
    )
    assert "bug" not in capsys.readouterr().err
