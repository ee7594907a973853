"""What an archive has not committed to keep in time: it never says so by itself."""

from __future__ import annotations

import json

from medseg.service.node.config import NodeConfig
from medseg.service.node.destinations import committing
from medseg.service.node.store import NodeStore

HOUR, DAY = 3600.0, 86400.0
# Of one destination; what it commits to and loses is sent again, so that it may wait at the moment.
LATE = "destination in (select value from json_each(?)) and state in ('sent', 'ready') and sent is not null and sent<=?"
# Of deliveries, by values of `needing`.
WITHOUT_DESTINATION = "state='ready' and destination not in (select value from json_each(?))"
NEED_A_PERSON = " or ".join(("state='refused'", f"({LATE})", f"({WITHOUT_DESTINATION})"))
KEPT = """
select count(*) c from series where asked>0 and last<=? and state in ('whole', 'ignored')
and exists (select 1 from objects where objects.series=uid and objects.deleted is null and objects.committed is null)
"""


def late(config: NodeConfig, now: float) -> tuple[str, float]:
    """Return the values that `LATE` asks for."""
    return json.dumps(committing(config)), now - config.commitment_hours * HOUR


def needing(config: NodeConfig, now: float) -> tuple[str, float, str]:
    """Return the values that `NEED_A_PERSON` asks for."""
    return *late(config, now), json.dumps(list(config.destinations))


def overdue(store: NodeStore, config: NodeConfig, now: float) -> dict[str, int]:
    """Return how many results each destination took and has not committed to keep in time."""
    rows = store.rows(
        f"select destination, count(*) c from deliveries where {LATE} group by 1", *late(config, now)  # noqa: S608
    )  # fmt: skip
    return dict.fromkeys(committing(config), 0) | {row["destination"]: row["c"] for row in rows}


def kept_longer(store: NodeStore, config: NodeConfig, now: float) -> int:
    """Return how many series are past `keep_days` and stay, because no archive commits to their objects."""
    if config.keep_days is None or not committing(config):
        return 0
    return int(store.rows(KEPT, now - config.keep_days * DAY - config.commitment_hours * HOUR)[0]["c"])
