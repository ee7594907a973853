"""Where a review stands: how many cases are judged and how, and what a random sample says of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from medseg.config.arguments import check_arguments_of
from medseg.review.events import SUGGESTED, Event
from medseg.review.opening import open_store
from medseg.review.review_case import ReviewCase, State
from medseg.review.sample import ErrorRate, Sample, error_rate, newest_sample
from medseg.review.store import Store
from medseg.review.verdicts import Verdict, verdict


@dataclass(frozen=True)
class ReviewStatus:
    """Where a review stands."""

    cases: Mapping[str, ReviewCase]
    verdicts: tuple[Verdict, ...]  # the last of every reader on every case, blinded readings among them
    sample: ErrorRate | None  # of the sample drawn last
    events: int
    head: str  # hash of the newest event
    without_labels: Mapping[str, str] = field(default_factory=dict)  # cases withheld or failed, by case id
    suggestions: Mapping[str, int] = field(default_factory=dict)  # asked for by marks, by case id
    sample_by_reader: Mapping[str, ErrorRate] = field(default_factory=dict)  # as each reader judged the sample

    def __repr__(self) -> str:
        return f"ReviewStatus({self.judged} of {len(self.cases)} judged)"

    @property
    def counts(self) -> dict[State, int]:
        """Number of cases in each state."""
        found = Counter(case.state for case in self.cases.values())
        states: tuple[State, ...] = ("accepted", "rejected", "open", "open, model changed", "open, labels changed")
        return {name: found[name] for name in states}

    @property
    def judged(self) -> int:
        """Number of cases with a verdict that counts."""
        return sum(case.is_judged for case in self.cases.values())

    @property
    def corrected(self) -> int:
        """Number of cases whose labels differ from the model's."""
        return sum(case.is_corrected for case in self.cases.values())

    def corrected_in(self, state: State) -> int:
        """Number of cases in a state whose labels differ from the model's: of accepted ones, those accepted."""
        cases = [case for case in self.cases.values() if case.state == state]
        return sum(case.is_accepted_corrected if state == "accepted" else case.is_corrected for case in cases)

    @property
    def readers(self) -> dict[str, int]:
        """Readers, and the number of cases each has accepted or rejected and not taken back."""
        return dict(sorted(Counter(given.who for given in self.verdicts).items()))

    @property
    def reasons(self) -> dict[str, int]:
        """Why cases are rejected, and how many for each reason, the commonest first."""
        given = (case.verdict for case in self.cases.values() if case.state == "rejected")
        return dict(Counter(verdict.reason or "" for verdict in given if verdict is not None).most_common())


def status_of(store: Store) -> ReviewStatus:
    """Return where an open review stands."""
    cases, sample, head = store.all_cases(), newest_sample(store), store.log.head
    rate = None if sample is None else error_rate(sample, cases)
    asked = Counter(event.case_id for event in store.events() if event.kind == SUGGESTED)
    verdicts = _verdicts(store)
    by_reader = {} if sample is None else _rates(store, sample, {given.who for given in verdicts})
    return ReviewStatus(cases, verdicts, rate, *head, store.results.without_labels(), asked, by_reader)


def _rates(store: Store, sample: Sample, readers: Set[str]) -> dict[str, ErrorRate]:
    """The error rate of a sample by what each reader alone saved and judged, of those who judged any of it."""
    rates = {who: error_rate(sample, store.all_cases(who)) for who in sorted(readers)}
    return {who: rate for who, rate in rates.items() if rate.judged}


def _verdicts(store: Store) -> tuple[Verdict, ...]:
    """The last verdict of every reader on every case, those taken back excepted."""
    given: dict[tuple[str, str], list[Event]] = {}
    for event in store.events():
        if event.case_id:
            given.setdefault((event.case_id, event.who), []).append(event)
    return tuple(found for events in given.values() if (found := verdict(events)) is not None)


@check_arguments_of("medseg.review.status")
def status(folder: Path | str) -> ReviewStatus:
    """Say where the review of a folder of results stands.

    Parameters
    ----------
    folder : path
        The ``--out`` of `medseg predict`.

    Returns
    -------
    ReviewStatus
        Every case with its state, and the error rate of the sample drawn last.

    Raises
    ------
    UsageError
        When nothing was reviewed there yet.
    InputError
        When the audit trail is not as it was written.
    """
    with open_store(Path(folder)) as store:
        return status_of(store)
