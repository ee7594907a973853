"""What a search of an archive is asked for is looked at before anything is sent."""

import warnings

import pytest

from medseg.errors import UsageError
from medseg.service.archive import Archive
from medseg.service.search import search

NOWHERE = Archive.parse("http://127.0.0.1:9/dicom-web")


@pytest.mark.parametrize(
    "query",
    [
        {"StudyDate": "tomorrow"},
        {"StudyDate": "2024-01-31"},
        {"StudyDate": "20241331"},
        {"StudyTime": "noon"},
        {"AccessionNumber": "1", "SeriesDate": "20240101-2024"},
    ],
)
def test_a_date_that_dicom_does_not_know_is_refused(query):
    with warnings.catch_warnings(), pytest.raises(UsageError, match="no date or time"):
        warnings.simplefilter("error")
        search(NOWHERE, query)


@pytest.mark.parametrize("date", ["20240131", "20240101-20240131", "-20240131", "20240131-"])
def test_dates_and_ranges_are_sent(date):
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        search(NOWHERE, {"StudyDate": date})
