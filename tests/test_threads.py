import time

import pytest

from medseg.threads import side_by_side, thread_limit


def test_results_come_in_the_order_of_the_parts():
    def slow_first(part):
        time.sleep(0.02 if part == 0 else 0)
        return part * 2

    assert side_by_side(slow_first, range(5)) == [0, 2, 4, 6, 8]
    assert side_by_side(slow_first, []) == []


def test_an_error_of_a_part_is_raised():
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda part: 1 / part, [1, 0, 2])


@pytest.mark.parametrize(("given", "told"), [("3", 3), ("4,2", 4), ("", None), ("0", None), ("many", None)])
def test_a_scheduler_says_how_many_threads_there_are(monkeypatch, given, told):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert thread_limit() == told
