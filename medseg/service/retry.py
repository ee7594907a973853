"""Trying again what failed for the moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from medseg.service.archive import ArchiveError, ArchiveRefusal
from medseg.service.bounds import TimeForTries

log = logging.getLogger("medseg.service.retry")
T = TypeVar("T")


def keep_trying(
    action: Callable[[], T],
    *,
    retries: int,
    wait: float,
    time_for: TimeForTries,
    has_answered: Callable[[], bool] = lambda: True,
) -> T:
    """Return what an action returns, trying again while an archive fails for the moment.

    `wait` is in seconds, doubled each time. A refusal is raised at once: a wrong password stays wrong, and an account
    may be locked for trying. So is that nobody is there, until `has_answered`: the address is wrong, and not an archive
    that starts again. What has taken all of its time is not tried again either.
    """
    for attempt in range(retries):
        try:
            return action()
        except ArchiveRefusal:
            raise
        except ArchiveError as error:
            if time_for.is_over() or (error.nobody_there and not has_answered()):
                raise
            log.warning("%s; trying again in %g s.", error.what, wait * 2**attempt)
            time.sleep(wait * 2**attempt)
    return action()
