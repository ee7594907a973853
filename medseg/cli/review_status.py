"""`medseg review status`: where a review stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from medseg.cli.options import JsonOption
from medseg.cli.review_options import ReviewedArgument
from medseg.cli.verb import print_json
from medseg.harmless import one_line, tabbed

if TYPE_CHECKING:
    from medseg.review.review_status import ReviewStatus
    from medseg.review.sample import ErrorRate


def status(
    folder: ReviewedArgument,
    json: JsonOption = False,
) -> int:
    """Say how many cases are judged and how, and the error rate of a random sample.

    Prints a tab-separated line a case: case id, state, revision that was judged (else the newest), reader, reason; the
    sums go to the log.

    Example: medseg review status results
    """
    import logging
    from collections import Counter

    from medseg.review.review_status import status as review_status

    found = review_status(folder)
    if json:
        print_json(_as_json(found))
        return 0
    for case in found.cases.values():
        given = case.verdict
        # The revision that the reader and the reason beside it are about; others may have drawn on.
        revision, who, reason = (case.revision, "", "") if given is None else (given.revision, given.who, given.reason)
        typer.echo(tabbed(case.case_id, case.state, revision, who, reason or ""))
    log = logging.getLogger("medseg.review")
    log.info("%d of %d judged: %s", found.judged, len(found.cases), "; ".join(_counts(found)))
    for kind, count in Counter(found.without_labels.values()).items():
        log.info("%d more %s, without labels to review; see cases.csv", count, kind)
    if len(found.readers) > 1:
        log.info("%s", ", ".join(f"{one_line(who)} judged {count}" for who, count in found.readers.items()))
    if found.sample is not None:
        log.info("%s", _sentence(found.sample))
        if sum(rate.judged for rate in found.sample_by_reader.values()) > found.sample.judged:
            log.info("of each case the newest verdict counts above; as each reader judged it:")
            for who, rate in found.sample_by_reader.items():
                log.info("%s: %s", one_line(who), _sentence(rate))
    return 0


def _counts(found: ReviewStatus) -> list[str]:
    """How many cases are in each state, and how many of these with labels that a person changed."""
    counts = {state: (count, found.corrected_in(state)) for state, count in found.counts.items() if count}
    return [
        f"{count} {state}" + (f" ({changed} corrected)" if changed else "")
        for state, (count, changed) in counts.items()
    ]


def _sentence(sample: ErrorRate) -> str:
    """What the sample says."""
    if sample.rate is None or sample.interval is None:
        return "of the random sample no case is judged yet"
    low, high = sample.interval
    figures = f"{sample.rate:.1%} (95% interval {low:.1%} to {high:.1%})"
    text = f"random sample of {sample.size} of {sample.population}: {sample.wrong} of {sample.judged} wrong, {figures}"
    return text if sample.is_complete else f"{text}; not all are judged, so that the rate may be biased"


def _rate_as_json(sample: ErrorRate) -> dict[str, Any]:
    return {
        "size": sample.size,
        "population": sample.population,
        "judged": sample.judged,
        "wrong": sample.wrong,
        "error_rate": sample.rate,
        "interval_95": sample.interval,
        "is_complete": sample.is_complete,
    }


def _as_json(found: ReviewStatus) -> dict[str, Any]:
    return {
        "judged": found.judged,
        "counts": found.counts,
        "corrected": found.corrected,
        "accepted_corrected": found.corrected_in("accepted"),
        "reasons": found.reasons,
        "readers": found.readers,
        "sample": None if found.sample is None else _rate_as_json(found.sample),
        "sample_by_reader": {who: _rate_as_json(rate) for who, rate in found.sample_by_reader.items()},
        "without_labels": dict(found.without_labels),
        "suggestions": sum(found.suggestions.values()),
        "events": found.events,
        "head": found.head,
        "cases": [
            {
                "case_id": case.case_id,
                "state": case.state,
                "revision": case.revision,
                "is_corrected": case.is_corrected,
                "review_priority": case.review_priority,
                "suggestions": found.suggestions.get(case.case_id, 0),
                "verdict": None if case.verdict is None else vars(case.verdict),
            }
            for case in found.cases.values()
        ],
    }
