import pytest
from odd_functions import EVERY, act, error, stop

from medseg.errors import Interrupted, MedsegError, ResourceLimit
from medseg.isolation.boundary import as_failure, attempt, insist, report_number


@pytest.mark.parametrize("name", EVERY)
def test_no_exception_leaves_the_boundary_and_none_quotes_its_text(name):
    failed = attempt(act, name)
    assert isinstance(failed, MedsegError)
    assert failed.fix
    assert "Doe" not in str(failed)


def test_what_asks_the_process_to_stop_passes():
    with pytest.raises(Interrupted):
        attempt(stop)
    with pytest.raises(KeyboardInterrupt):
        attempt(act, "KeyboardInterrupt")


def test_errors_of_medseg_stay_and_those_with_a_cause_say_it():
    known = MedsegError("a reason", where="a file", fix="A fix.")
    assert as_failure(known) is known
    assert isinstance(as_failure(MemoryError()), ResourceLimit)
    assert as_failure(OSError(28, "No space left on device")).what == "No space left on device"
    assert "nested too deeply" in as_failure(RecursionError()).what


def test_the_report_number_is_that_of_the_place_and_not_of_the_input():
    def numbers(text):
        failed = attempt(int, text)
        return str(failed).partition("report ")[2][:8]

    assert numbers("Doe") == numbers("x") != ""
    assert report_number(error("ValueError")) != report_number(error("KeyError"))


def test_of_one_input_alone_the_error_is_raised():
    with pytest.raises(MedsegError, match=r"ValueError, report [0-9a-f]{8}"):
        insist(act, "ValueError")
    assert insist(len, [1]) == 1
