"""The list of `tests/kills.py`, which runs apart (`make kills`): no verb that writes is missing from it."""

from every_verb import every_verb, verbs_of
from kills import LINES, NOT_KILLED


def test_every_verb_is_killed_or_has_a_reason_not_to_be():
    """Who adds a verb that writes adds a line to `tests/kills.py`, or says what kills it elsewhere."""
    assert verbs_of(LINES) | set(NOT_KILLED) == every_verb()
    assert not verbs_of(LINES) & set(NOT_KILLED)
