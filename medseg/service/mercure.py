"""medseg as a processing module of mercure, the DICOM orchestrator: a task's folder in, objects and a result out.

mercure (https://mercure-imaging.org/docs/modules.html) starts a container for each series or study. It names the folder
with the images, ``SERIES#INSTANCE.dcm`` each, and a ``task.json`` with the rule's settings in ``MERCURE_IN_DIR``. What
lies in ``MERCURE_OUT_DIR`` afterwards is sent on (``*.dcm``) and kept (``result.json``).
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from medseg.config.bounds import Overlap
from medseg.config.load import build, under
from medseg.config.safe_json import parse_json
from medseg.config.strict import Strict
from medseg.counted import counted
from medseg.engine.predict import predict
from medseg.errors import InputError, Interrupted, MedsegError, UsageError
from medseg.harmless import json_text
from medseg.infer.options import EngineName, Mirror
from medseg.io.dicom.object_names import series_and_instance
from medseg.io.files.atomic import atomic_path, write_text
from medseg.io.files.temporary import temporary_folder
from medseg.types.run import BatchResult, CaseOutcome

log = logging.getLogger("medseg.service.mercure")

IN, OUT = "MERCURE_IN_DIR", "MERCURE_OUT_DIR"
TASK, RESULT = "task.json", "result.json"
# Keys of mercure's own in the result: what it says to those whom the rule notifies.
NOTIFICATION = "__mercure_notification"
DicomFormat = Literal[
    "dicom-seg", "dicom-seg-labelmap", "dicom-seg-fractional", "dicom-seg-objects", "rtstruct", "sr", "sc"
]
IN_PYTHON = re.compile(r" \(in Python, [^)]*\)")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
Positive = Annotated[float, Field(gt=0)]


class MercureSettings(Strict):
    """What a rule of mercure, or the module, may set; all but the last two are options of `medseg predict`."""

    model: str = Field(description="name of a model, or path of a package inside the container")
    format: tuple[DicomFormat, ...] = Field(default=("dicom-seg",), min_length=1, description="objects to send on")
    device: str | None = Field(default=None, pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N")
    engine: EngineName | None = Field(default=None, description="library that computes the network")
    overlap: Overlap | None = Field(default=None, description="sliding-window overlap")
    mirror: Mirror | None = Field(default=None, description="test-time mirroring")
    fast: bool = Field(default=False, description="fewer windows")
    best: bool = Field(default=False, description="mirrored windows in full precision")
    series: str | None = Field(default=None, description="which series of a study: UID, number or description")
    allow_uneven: bool = Field(default=False, description="resample uneven slices")
    allow_incomplete: bool = Field(default=False, description="read a series that lost a part")
    anyway: bool = Field(default=False, description="segment what the model is not for, and mark it")
    max_memory: Positive | None = Field(default=None, description="GiB that a case may use")
    max_seconds: Positive | None = Field(default=None, description="seconds that a case may take")
    deliver_withheld: bool = Field(
        default=False, description="a scan that the model is not for ends the task well, so that mercure sends it on"
    )
    notify: Literal["never", "problems", "always"] = Field(
        default="problems", description="when mercure notifies: of cases with warnings, withheld and failed ones"
    )


def mercure(inputs: Path | None = None, out: Path | None = None) -> dict[str, Any]:
    """Do one task of mercure, and return what ``result.json`` has; that is also written where the task fails.

    Its `exit_code` is that of `medseg predict`.

    Parameters
    ----------
    inputs, out : Path, optional
        The task's folders; by default those in ``MERCURE_IN_DIR`` and ``MERCURE_OUT_DIR``.

    Raises
    ------
    UsageError
        When a folder is not given, one lies in the other, or the task's settings cannot be what they are.
    """
    source, target = _folder(inputs, IN), _folder(out, OUT)
    _check_apart(source, target)
    with _log_for_module(source):
        return _done(source, target)


def _done(source: Path, target: Path) -> dict[str, Any]:
    try:
        settings = read_settings(source / TASK)
        options = settings.model_dump(exclude={"deliver_withheld", "notify"}, exclude_none=True)
        with temporary_folder() as work:
            result = predict(source, options.pop("model"), work / "results", **options)
            if not result.outcomes:
                raise InputError(
                    f"there is no scan in the task's folder ({counted(len(result.skipped), 'other file')})",
                    fix="Let mercure's rule choose series of images.",
                )
            for outcome in result.outcomes:
                _deliver(outcome, target)
    except MedsegError as error:
        error.what = for_module(error.what, source)
        error.where, error.fix = (text and for_module(text, source) for text in (error.where, error.fix))
        _write(target, {"error": str(error), "cases": [], "exit_code": error.exit_code})
        raise
    except Interrupted as stop:
        _write(target, {"error": "the task was stopped before it was done", "cases": [], "exit_code": stop.exit_code})
        raise
    result = replace(result, outcomes=tuple(_for_module(outcome, source) for outcome in result.outcomes))
    code = result.exit_code
    if code == 3 and settings.deliver_withheld and not result.count("failed"):
        code = 0
    content = {**_content(result, settings), "exit_code": code}
    _write(target, content)
    return content


def read_settings(task: Path) -> MercureSettings:
    """Return the settings of a task; whatever else it holds names the patient, and is not looked at.

    Raises
    ------
    InputError
        When there is no such file, or it is not a task of mercure.
    ConfigError
        When a setting is unknown, missing or cannot be what it is.
    """
    try:
        content = parse_json(task.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            "mercure's task cannot be read", where=task.name, fix="Let mercure start this container."
        ) from error
    except ValueError as error:
        raise InputError("it is no JSON", where=task.name, fix="Let mercure start this container.") from error
    process = content.get("process") if isinstance(content, dict) else None
    if isinstance(process, list):  # of several modules, mercure gives each its own; older versions a list of one
        if len(process) != 1:
            what = f"its 'process' is of {counted(len(process), 'module')}, of which none is named as this one's"
            raise InputError(what, where=task.name, fix="Let a rule of mercure process with this module.")
        (process,) = process
    if not isinstance(process, dict):
        raise InputError("it has no 'process'", where=task.name, fix="Let a rule of mercure process with this module.")
    where = f"{task.name}, process.settings"
    return build(MercureSettings, _as_lists(under(process, "settings", where=task.name)), where=where)


def _as_lists(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Formats in one text, as on the command line, become a list."""
    values = dict(settings)
    if isinstance(values.get("format"), str):
        values["format"] = [name.strip() for name in values["format"].split(",")]
    return values


def _folder(given: Path | None, variable: str) -> Path:
    text = str(given) if given is not None else os.environ.get(variable, "")
    if not text:
        raise UsageError(f"{variable} is not set", fix="Let mercure start this container, or name the folder.")
    if not Path(text).is_dir():
        raise UsageError("there is no such folder", where=text, fix=f"Mount it, or set {variable}.")
    return Path(text)


def _check_apart(source: Path, target: Path) -> None:
    """Refuse an output within the input, or around it: what is made would be a scan of the task, or sent on with it."""
    given, made = source.resolve(), target.resolve()
    if given == made:
        how = "are the same folder"
    elif made.is_relative_to(given) or given.is_relative_to(made):
        how = "lie one in the other"
    else:
        return
    raise UsageError(
        f"{IN} and {OUT} {how}", where=target, fix="Let mercure start this container, or name two folders side by side."
    )


@contextmanager
def _log_for_module(source: Path) -> Iterator[None]:
    """Let the log say what can be done here, as the result does, while inside."""

    def reword(record: logging.LogRecord) -> bool:
        record.msg, record.args = for_module(record.getMessage(), source), None
        return True

    handlers = [*logging.getLogger("medseg").handlers, *logging.getLogger().handlers]
    for handler in handlers:
        handler.addFilter(reword)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(reword)


def _deliver(outcome: CaseOutcome, target: Path) -> None:
    """Put a case's objects where mercure sends them from, named as it names its own."""
    if outcome.folder is None or outcome.written_state != "done":
        return
    for name in outcome.outputs:
        if not name.endswith(".dcm"):
            continue
        series, instance = series_and_instance(outcome.folder / name)
        with atomic_path(target / f"{series}#{instance}.dcm") as part:
            shutil.copyfile(outcome.folder / name, part)


def _content(result: BatchResult, settings: MercureSettings) -> dict[str, Any]:
    content: dict[str, Any] = {
        "software": dict(result.identity),
        "cases": [_case(outcome) for outcome in result.outcomes],
        "counts": {state: result.count(state) for state in ("done", "failed", "withheld")},
    }
    text = _notice(result)
    if settings.notify == "always" or (settings.notify == "problems" and text):
        content[NOTIFICATION] = {"text": text or f"medseg: {counted(result.count('done'), 'scan')} segmented."}
    return content


def _case(outcome: CaseOutcome) -> dict[str, Any]:
    return {
        "case_id": outcome.case_id,
        "state": outcome.written_state,
        "error": outcome.error,
        "fix": outcome.fix,
        "warnings": list(outcome.warnings),
        "notes": list(outcome.notes),
        "review_priority": outcome.review_priority,
        "volumes": None if outcome.volumes is None else outcome.volumes.to_json(),
    }


def _for_module(outcome: CaseOutcome, source: Path) -> CaseOutcome:
    error, fix = (text and for_module(text, source) for text in (outcome.error, outcome.fix))
    warnings, notes = (tuple(for_module(text, source) for text in texts) for texts in (outcome.warnings, outcome.notes))
    return replace(outcome, error=error, fix=fix, warnings=warnings, notes=notes)


def for_module(text: str, source: Path) -> str:
    """Return a sentence with settings in the place of options, which nobody can give to a module.

    Nor does it name the task's folder, which says nothing.

    >>> for_module("mr-1: FAILED: in: it is uneven. Read it with --allow-uneven.", Path("/tmp/in"))
    "mr-1: FAILED: it is uneven. Read it with the setting 'allow_uneven'."
    """
    text = re.sub(rf"(^|: ){re.escape(source.name)}: ", r"\1", text)
    return OPTION.sub(_setting, IN_PYTHON.sub("", text))


def _setting(option: re.Match[str]) -> str:
    name = option[1].replace("-", "_")
    return f"the setting '{name}'" if name in MercureSettings.model_fields else option[0]


def _notice(result: BatchResult) -> str:
    """What somebody should know of the cases; empty where all went well. Case ids are hashes and name no patient."""
    lines = [
        f"{outcome.case_id or outcome.source}: {outcome.written_state}: {outcome.error}"
        for outcome in result.outcomes
        if outcome.error
    ]
    lines += [f"{outcome.case_id}: warning: {warning}" for outcome in result.outcomes for warning in outcome.warnings]
    return "\n".join(f"medseg: {line}" for line in lines)


def _write(target: Path, content: Mapping[str, Any]) -> None:
    write_text(target / RESULT, json_text(content, str))
