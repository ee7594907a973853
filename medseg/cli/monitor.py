"""`medseg monitor`: whether results are still what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, WHAT, JsonOption, OutOption, argument, option
from medseg.cli.verb import print_json
from medseg.config.bounds import Baseline, FalseAlarms


def monitor(
    results: Annotated[
        list[Path],
        argument(
            INPUT,
            "RESULTS",
            help="Output folders of medseg predict or of a node, the oldest first.",
            exists=True,
            file_okay=False,
        ),
    ],
    out: OutOption,
    reference: Annotated[
        list[Path] | None,
        option(
            INPUT,
            "--reference",
            help="Output folder whose cases are the baseline; may be repeated. By default, the first cases are.",
            metavar="PATH",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    baseline: Annotated[
        int,
        option(
            WHAT,
            "--baseline",
            help="How many first cases are the baseline, at least 20.",
            metavar="N",
            kind=Baseline,
        ),
    ] = 50,
    scans: Annotated[
        list[Path] | None,
        option(
            INPUT,
            "--scans",
            help="Where the scans are, if they were moved; may be repeated.",
            metavar="PATH",
            exists=True,
        ),
    ] = None,
    no_scans: Annotated[
        bool, option(WHAT, "--no-scans", help="Read no scan: scanners, spacing and intensities are not known then.")
    ] = False,
    false_alarms: Annotated[
        float,
        option(
            WHAT,
            "--false-alarms",
            help="Probability, of 0.001 to 0.5, that anything is called changed where nothing is.",
            metavar="P",
            kind=FalseAlarms,
        ),
    ] = 0.01,
    cases_of: Annotated[
        str | None,
        option(
            WHAT,
            "--cases-of",
            help="Model whose cases are compared: NAME, 'NAME VERSION', or the full text. By default, the newest.",
            metavar="NAME",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Say whether scanners, volumes, uncertainty and verdicts are still what they were.

    Leaves history.csv, monitor.json and monitor.html with control charts in OUT; what it holds of scans is not read
    again. Exit code: 0 nothing changed, 3 something did, 4 too few cases.

    Example: medseg monitor results-january results-february --out monitoring
    """
    from medseg.monitoring.monitor import monitor as monitor_results
    from medseg.monitoring.monitor_page import plain_monitoring

    found = monitor_results(
        results,
        out,
        reference=reference or (),
        baseline=baseline,
        scans=scans or (),
        no_scans=no_scans,
        false_alarms=false_alarms,
        cases_of=cases_of,
    )
    if json:
        from medseg.evaluation.summary import as_json

        print_json(as_json(found.as_dict()))
    else:
        typer.echo(plain_monitoring(found))
    return found.exit_code
