"""What `make soak` calls flat."""

from soak import MB, Look, complaints


def looks(memory=lambda n: 500 * MB, files=lambda n: 12, temporary=lambda n: 0):
    return [Look(n, memory(n), files(n), temporary(n)) for n in range(401)]


def test_flat_is_flat():
    assert complaints(looks(), 7_900_000, 400) == []


def test_what_grows_is_named():
    assert complaints(looks(memory=lambda n: (500 + n) * MB), 1, 400) == ["memory grew from 699 to 900"]
    assert complaints(looks(files=lambda n: 12 + n // 20), 1, 400) == ["files grew from 21 to 32"]
    assert complaints(looks(temporary=lambda n: n), 1, 400) == ["temporary grew from 199 to 400"]
    assert complaints(looks(), 8_100_000, 400) == ["report.html has 8.1 MB for 400 cases"]


def test_a_run_that_ended_at_once_proves_nothing():
    assert complaints(looks()[:5], 1, 400) == ["the run was too short to be watched"]
