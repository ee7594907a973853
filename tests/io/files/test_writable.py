"""A report of its own never takes the place of the report of results."""

import pytest

from medseg.engine.evaluate import evaluate
from medseg.errors import UsageError
from medseg.io.files.writable import check_own_folder, check_writable, report_folder


def test_results_keep_their_report(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "report.html").write_text("of the batch")
    with pytest.raises(UsageError, match="would be replaced"):
        evaluate(tmp_path, tmp_path, out=tmp_path)
    assert (tmp_path / "report.html").read_text() == "of the batch"


def test_a_folder_inside_results_is_taken(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert report_folder(tmp_path / "evaluation") == tmp_path / "evaluation"


def test_a_folder_that_is_read_is_no_output_by_any_name(tmp_path):
    scans, link = tmp_path / "scans", tmp_path / "link"
    scans.mkdir()
    link.symlink_to(scans)
    with pytest.raises(UsageError, match="of the scans"):
        check_own_folder(link, [scans], "it is the folder of the scans")
    for other in (scans / "results", tmp_path):
        check_own_folder(other, [scans, scans / "1.nii.gz"], "it is the folder of the scans")


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_file_stands_in_a_folder_s_way_and_a_folder_in_a_file_s(tmp_path, is_folder):
    file = tmp_path / "file"
    file.touch()
    check_writable(tmp_path if is_folder else file, is_folder=is_folder)
    check_writable(tmp_path)
    check_writable(file)
    with pytest.raises(UsageError, match=r"nothing can be written there: .* is (not )?a folder"):
        check_writable(file if is_folder else tmp_path, is_folder=is_folder)
