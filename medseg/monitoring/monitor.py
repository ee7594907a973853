"""`medseg monitor`: whether results are still what they were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import Baseline, FalseAlarms
from medseg.errors import InputError, MedsegError, UsageError
from medseg.evaluation.summary import as_json
from medseg.io.files.atomic import write_text
from medseg.io.files.writable import output_folder
from medseg.models.card import ModelCard
from medseg.monitoring.card_reference import card_shifts
from medseg.monitoring.charts import all_charts, holm, series_of
from medseg.monitoring.gather import Wanted, gather
from medseg.monitoring.history import CaseRecord, known_scans, write_history
from medseg.monitoring.look import Monitoring
from medseg.monitoring.monitor_page import monitor_page
from medseg.review.made_by import made_by


@check_arguments
def monitor(
    results: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    reference: Path | str | Sequence[Path | str] = (),
    baseline: Baseline = 50,
    scans: Path | str | Sequence[Path | str] = (),
    no_scans: bool = False,
    false_alarms: FalseAlarms = 0.01,
) -> Monitoring:
    """Say whether scanners, volumes, uncertainty and verdicts are still what they were.

    Every figure of every case is drawn on a control chart. It counts as changed where its order breaks the chart's
    rules as hardly any random order of the same values would.

    Parameters
    ----------
    results : path or sequence of path
        Output folders of `medseg predict` or of a node, the oldest first.
    out : path
        Folder for history.csv, monitor.json and monitor.html. What it holds of scans is not read again.
    reference : path or sequence of path
        Output folders whose cases are the baseline; by default the first cases of `results` are.
    baseline : int
        Number of first cases that are the baseline, at least 20; without a meaning beside `reference`.
    scans : path or sequence of path
        Where the scans are, if they were moved since.
    no_scans : bool
        Whether to read no scan: scanners, spacing and intensities are then not known.
    false_alarms : float
        Probability that anything at all is called changed where nothing is.

    Returns
    -------
    Monitoring
        The history, its charts, and what changed.

    Raises
    ------
    UsageError
        When a folder is not there or holds no results.
    """
    folder = output_folder(out)
    wanted = Wanted(tuple(Path(path) for path in listed(scans)), known_scans(folder), not no_scans)
    before = gather([Path(path) for path in listed(reference)], wanted) if reference else []
    places = [Path(path) for path in listed(results)]
    if not places:
        raise UsageError("no folder of results was named", where="medseg.monitor", fix="Give one or more.")
    records = [*before, *gather(places, wanted)]
    found = look_at(records, len(before) or baseline, false_alarms, _card(places[-1]))
    folder.mkdir(parents=True, exist_ok=True)
    _write(found, folder)
    return found


def look_at(
    records: Sequence[CaseRecord], n_baseline: int, false_alarms: float = 0.01, card: ModelCard | None = None
) -> Monitoring:
    """Make the charts of a history and say what changed; of a model that changed meanwhile, its own cases alone."""
    kept, notes = list(records), []
    model = kept[-1].model
    if other := [one for one in kept if one.model != model]:
        first = sum(one.model == model for one in kept[:n_baseline])
        kept, n_baseline = [one for one in kept if one.model == model], first or n_baseline
        notes.append(
            f"{len(other)} cases of other models are not compared: figures of two models differ of themselves. What is "
            f"shown is {model or 'a model that is not known'}."
        )
    n_baseline = min(n_baseline, len(kept))
    charts, shifts = (
        all_charts(kept, n_baseline, false_alarms),
        [] if card is None else card_shifts(card, series_of(kept[n_baseline:])),
    )
    if not charts:
        notes.append(
            f"{n_baseline} cases of the baseline and {len(kept) - n_baseline} since are too few for a chart: 20 and 10 "
            "are needed."
        )
    named = [(f"chart {chart.name}", chart.p) for chart in charts]
    named += [(f"card {shift.class_name}", shift.p) for shift in shifts]
    broken = holm(named, false_alarms)
    return Monitoring(
        tuple(kept),
        n_baseline,
        tuple(replace(chart, is_changed=f"chart {chart.name}" in broken) for chart in charts),
        tuple(replace(shift, is_changed=f"card {shift.class_name}" in broken) for shift in shifts),
        false_alarms,
        tuple(notes),
    )


def _card(results: Path) -> ModelCard | None:
    """Card of the model that made results, where it is installed."""
    try:
        package = made_by(results).package
    except (InputError, MedsegError):
        return None
    return None if package is None else package.card


def _write(found: Monitoring, folder: Path) -> None:
    write_history(found.records, folder)
    content = json.dumps(as_json(found.as_dict()), indent=2, ensure_ascii=False)
    write_text(folder / "monitor.json", content + "\n")
    write_text(folder / "monitor.html", monitor_page(found))
