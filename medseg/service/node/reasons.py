"""What people are told of deliveries that are not over, and what to do about each."""

from __future__ import annotations

REFUSED_FIX = "See the archive's log, then `medseg serve retry`."
GONE = "node.yaml has no destination of that name any more"
GONE_FIX = (
    "Put it back, start the node again and use `medseg serve retry`; or send the series again, for the destinations of "
    "today, and use `medseg serve dismiss`."
)
UNANSWERED = "the archive has it, and has not said that it keeps it"
UNCOMMITTED_FIX = (
    "Have the archive send storage commitment (N-EVENT-REPORT) to this node's title, host and port, or set "
    "`commitment: false`; the node asks again every 10 minutes."
)
KEPT_LONGER = "{} series are past keep_days and stay, because no archive has committed to keep their objects"
KEPT_FIX = "Send the original images to an archive that commits, or set `commitment: false` or another `keep_days`."


def sentences(what: str, fix: str) -> str:
    """Join what happened and what to do.

    >>> sentences("the archive rejected it (0x0110)", "See its log.")
    'the archive rejected it (0x0110). See its log.'
    """
    return f"{what}{'' if what[-1:] in '.?!' else '.'} {fix}".strip() if fix else what
