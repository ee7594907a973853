"""`medseg serve status`: where a node stands."""

from __future__ import annotations

import typer

from medseg.cli.options import JsonOption, SetOption
from medseg.cli.serve_options import NodeOption
from medseg.cli.verb import print_json
from medseg.harmless import one_line, tabbed

WHAT = {"refused": "refused by", "ready": "waits for", "sent": "not committed by"}


def status(
    config: NodeOption,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Say where a node stands, whether it runs or not: the queue, the deliveries, and what needs a person.

    Prints a tab-separated line a job and an open delivery; the sums go to the log. Exit code: 0 all is well, 3
    something failed, was withheld, refused, incomplete, put into quarantine or not committed to in time, waits for a
    destination that node.yaml no longer has, or a folder of the node cannot be written.

    Example: medseg serve status --config node.yaml
    """
    import logging

    from medseg.service.node.load import load_node
    from medseg.service.node.reasons import KEPT_FIX, KEPT_LONGER, sentences
    from medseg.service.node.status import status as node_status

    found = node_status(load_node(config, settings or ()))
    if json:
        print_json(found.to_json())
        return 3 if found.needs_a_person else 0
    for line in found.lines:
        cases = ",".join(line.cases) or line.job[:10]
        typer.echo(tabbed(cases, line.state, line.model, line.tries, line.message))
    for delivery in found.undelivered:
        what = WHAT[delivery.state]
        typer.echo(tabbed(delivery.case_id, what, delivery.destination, delivery.tries, delivery.message))
    log = logging.getLogger("medseg.serve")
    if found.jobs_not_shown or found.deliveries_not_shown:
        log.info("%d more jobs and %d more deliveries are not shown", found.jobs_not_shown, found.deliveries_not_shown)
    log.info("the node %s", "runs" if found.running else "does not run")
    log.info("%d objects; %d in quarantine", found.objects, found.quarantined)
    for place in found.unwritable:
        log.error("%s cannot be written. Check who may write, and that it is not read-only.", one_line(place))
    if found.kept_longer:
        log.error("%s", sentences(KEPT_LONGER.format(found.kept_longer), KEPT_FIX))
    for reason, count in found.ignored.items():
        log.info("%d series ignored: %s", count, one_line(reason))
    for what, counts in (("series", found.series), ("jobs", found.jobs), *found.deliveries.items()):
        log.info("%s: %s", what, ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none")
    return 3 if found.needs_a_person else 0
