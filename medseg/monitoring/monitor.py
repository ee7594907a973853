"""`medseg monitor`: whether results are still what they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import Baseline, FalseAlarms
from medseg.counted import counted
from medseg.errors import MedsegError, UsageError
from medseg.evaluation.summary import as_json
from medseg.harmless import json_text
from medseg.io.files.atomic import write_text
from medseg.io.files.writable import output_folder
from medseg.models.card import ModelCard
from medseg.monitoring.card_reference import card_shifts
from medseg.monitoring.charts import all_charts, holm, series_of
from medseg.monitoring.gather import Gathered, Wanted, gather
from medseg.monitoring.history import CaseRecord, known_scans, write_history
from medseg.monitoring.look import Monitoring
from medseg.monitoring.monitor_page import monitor_page
from medseg.tracking.resolve import resolve_model


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
    cases_of: str | None = None,
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
    cases_of : str, optional
        Model whose cases are compared, where there are cases of several: its name, its name and version
        (``liver 2``), or the full text of the tables (``liver 2 (0123456789ab)``); by default that of the newest case.
        Unless a version is named, an older one is compared, and said, while the newest has too few cases.

    Returns
    -------
    Monitoring
        The history, its charts, and what changed.

    Raises
    ------
    UsageError
        When a folder is not there or holds no results, or none of the model.
    """
    folder = output_folder(out)
    wanted = Wanted(tuple(Path(path) for path in listed(scans)), known_scans(folder), not no_scans)
    gathered = Gathered()
    before = gather([Path(path) for path in listed(reference)], wanted, gathered) if reference else []
    places = [Path(path) for path in listed(results)]
    if not places:
        raise UsageError("no folder of results was named", where="medseg.monitor", fix="Give one or more.")
    after = gather(places, wanted, gathered)
    if not after:
        raise UsageError(
            "every folder of results is one of the reference as well", where="--reference", fix="Give other results."
        )
    records = gathered.records
    identity = _newest(after) if cases_of is None else _newest_of(cases_of, records)
    if before and not _count(before, identity):
        raise UsageError(
            f"no case of the reference is of {identity or 'the same model'}",
            where="--reference",
            fix="Give results of the same model and version, or omit it.",
        )

    def look(model: str) -> Monitoring:
        n_baseline = _count(before, model) or baseline
        return look_at(records, n_baseline, false_alarms, _card(model), model=model)

    found = look(identity)
    if not found.charts and found.exit_code != 3 and cases_of in (None, identity.partition(" ")[0]):
        candidates = [one for one in _older(identity, records) if not before or _count(before, one)]
        found = _of_an_older(found, identity, map(look, candidates))
    found = replace(found, notes=(*gathered.notes, *found.notes))
    folder.mkdir(parents=True, exist_ok=True)
    _write(found, records, folder)
    return found


def look_at(
    records: Sequence[CaseRecord],
    n_baseline: int,
    false_alarms: float = 0.01,
    card: ModelCard | None = None,
    *,
    model: str | None = None,
) -> Monitoring:
    """Make the charts of a history and say what changed; of several models, the cases of one alone, the newest's.

    The baseline are the first cases of that model.
    """
    shown, notes = _newest(records) if model is None else model, []
    kept = [one for one in records if one.model == shown]
    if others := Counter(one.model for one in records if one.model != shown):
        names = ", ".join(f"{count} of {name or 'a model that is not known'}" for name, count in others.items())
        notes.append(
            f"{others.total()} cases of other models are not compared: figures of two models differ of themselves. "
            f"What is shown is {shown or 'a model that is not known'}; there are {names} (`cases_of` chooses)."
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


def _newest(records: Sequence[CaseRecord]) -> str:
    """Identity of the model of the newest case of which it is known."""
    return next((one.model for one in reversed(records) if one.model), "")


def _count(records: Sequence[CaseRecord], model: str) -> int:
    return sum(one.model == model for one in records)


def _newest_of(name: str, records: Sequence[CaseRecord]) -> str:
    """Identity of the newest version of a model that made any case, by name, name and version, or all of it."""
    for one in reversed(records):
        if one.model and name in (one.model, one.model.partition(" (")[0], one.model.partition(" ")[0]):
            return one.model
    known = ", ".join(dict.fromkeys(one.model for one in records if one.model)) or "not known"
    raise UsageError(
        f"no case is of a model '{name}'",
        where="--cases-of",
        fix=f"Give a name, a name and version, or the full text. The models are: {known}.",
    )


def _older(identity: str, records: Sequence[CaseRecord]) -> list[str]:
    """Identities of other versions of the same model, that of the newest case first."""
    name = identity.partition(" ")[0]
    return list(
        dict.fromkeys(
            one.model for one in reversed(records) if one.model != identity and one.model.partition(" ")[0] == name
        )
    )


def _of_an_older(found: Monitoring, identity: str, looks: Iterable[Monitoring]) -> Monitoring:
    """Return the first look with charts, which says that the newest version has too few cases; else what was found."""
    other = next((one for one in looks if one.charts), None)
    if other is None or not identity:
        return found
    note = (
        f"{identity} has {counted(len(found.records), 'case')}, too few for a chart yet. What is compared are cases "
        f"of the version before it; of {identity} nothing is said."
    )
    return replace(other, notes=(note, *other.notes))


def _card(identity: str) -> ModelCard | None:
    """Card of the model that made results, where the very same is installed."""
    try:
        package = resolve_model(identity.partition(" ")[0])
    except MedsegError:
        return None
    return package.card if str(package.identity) == identity else None


def _write(found: Monitoring, records: Sequence[CaseRecord], folder: Path) -> None:
    write_history(records, folder)
    content = json_text(as_json(found.as_dict()))
    write_text(folder / "monitor.json", content)
    write_text(folder / "monitor.html", monitor_page(found))
