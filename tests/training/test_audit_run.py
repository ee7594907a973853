import pytest

from medseg.training.audit_run import _summary


@pytest.mark.parametrize(
    ("blocked", "advisory", "says"),
    [
        (0, 2, "2 findings should be checked"),
        (1, 0, "1 case is skipped"),
        (3, 1, "3 cases are skipped, and 1 finding should be checked"),
    ],
)
def test_only_what_there_is_is_said(blocked, advisory, says):
    assert _summary(blocked, advisory) == says
