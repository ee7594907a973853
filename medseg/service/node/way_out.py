"""What the owner of a node can do about a case: fixes of `medseg predict` name options, and a node has none."""

from __future__ import annotations

import re

from medseg.infer.gate.refusal import ANYWAY
from medseg.isolation.process import TOO_LONG

OPTION = re.compile(r"(?<![\w-])--[a-z]")
MORE_SECONDS = "Allow more with max_seconds in node.yaml, start the node again, and use `medseg serve retry`."
SERIES = "the series, whose folder under incoming/ stands in results/sources.csv"
BY_HAND = (
    f"or, if you know better, run `medseg predict` with --anyway on {SERIES}, review the result and send it with "
    "`medseg push`; narrow the rule's `when` if such series shall not come here"
)
OF_PREDICT = (
    f"The node has no such option: run `medseg predict` with it on {SERIES}, and send the result with `medseg push`."
)


def for_owner(fix: str) -> str:
    """Return what to do in words of the node.

    >>> for_owner("Copy it again.")
    'Copy it again.'
    >>> for_owner("Allow more with --max-seconds.")
    'Allow more with max_seconds in node.yaml, start the node again, and use `medseg serve retry`.'
    """
    if BY_HAND in fix or OF_PREDICT in fix:  # it was said so before
        return fix
    text = fix.replace(TOO_LONG[1], MORE_SECONDS)
    if ANYWAY in text:
        return text.replace(ANYWAY, BY_HAND)
    return f"{text} {OF_PREDICT}" if OPTION.search(text) else text
