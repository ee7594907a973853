"""Says what a node would do with a study, and why, before it is switched on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from medseg.engine.pipeline import Pipeline
from medseg.errors import InputError
from medseg.io.dicom.header import lenient, read_header
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom.not_a_scan import VOLUMES
from medseg.io.dicom.volumes import IDENTITIES, PATIENTS
from medseg.io.files.walk import walk
from medseg.io.recognize import recognize
from medseg.isolation.boundary import attempt
from medseg.service.node import rules
from medseg.service.node.config import Rule
from medseg.service.node.jobs import NO_IMAGES, NO_RULE
from medseg.service.node.load import load_node
from medseg.service.node.node import check_node
from medseg.service.node.rules import Fit
from medseg.service.node.segmenting import rule_pipeline
from medseg.types.run import Inputs
from medseg.types.scan import Discovery
from medseg.types.stage import RunContext

RESULT = "it is a result of medseg, which holds no images of a scan"


@dataclass(frozen=True)
class SeriesCheck:
    """What would happen to a series."""

    series: str
    objects: int
    description: str
    tried: tuple[Fit, ...]  # rules up to the first that fits
    rule: int | None  # from 1
    model: str | None
    case_ids: tuple[str, ...]
    formats: tuple[str, ...]
    send_to: tuple[str, ...]
    what: str  # in a sentence


def check_study(config: Path, study: Path, *, settings: Sequence[str] = ()) -> list[SeriesCheck]:
    """Return what a node would do with each series of a study.

    Parameters
    ----------
    config : Path
        The node's YAML.
    study : Path
        File or folder of DICOM objects.
    settings : sequence of str
        Single values of the configuration, ``a.b=c`` each.

    Raises
    ------
    ConfigError
        When the configuration cannot be used, as at the start of the node.
    InputError
        When there is no DICOM object.
    """
    loaded = load_node(config, settings)
    check_node(loaded, config)
    entries, _ = walk([study])
    files = [entry.path for entry in entries if recognize(entry.path).kind == "dicom"]
    series: dict[str, list[tuple[Path, str, str]]] = {}
    with lenient():
        for path in files:
            header = attempt(read_header, path)
            if isinstance(header, Exception):
                continue
            elements = header.elements
            uid, kind = str(elements.get("SeriesInstanceUID") or ""), str(elements.get("SOPClassUID") or "")
            text = " ".join(str(elements.get(key) or "") for key in ("Modality", "SeriesDescription")).strip()
            if uid:
                series.setdefault(uid, []).append((path, kind, text))
    if not series:
        raise InputError("there is no DICOM object here", where=study, fix="Name DICOM files, or their folder.")
    return [_check(loaded.rules, uid, objects) for uid, objects in series.items()]


def _check(known: Sequence[Rule], uid: str, objects: list[tuple[Path, str, str]]) -> SeriesCheck:
    images = [path for path, kind, _ in objects if kind in VOLUMES]
    reason = RESULT if _is_own(objects[0][0]) else NO_IMAGES
    nothing = SeriesCheck(uid, len(objects), objects[0][2], (), None, None, (), (), (), f"ignored: {reason}")
    if not images:
        return nothing
    tried = tuple(rules.fits(known, rules.read_header(min(images), known)))
    if not tried or not tried[-1].fits:
        return SeriesCheck(uid, len(objects), objects[0][2], tried, None, None, (), (), (), f"ignored: {NO_RULE}")
    rule = known[tried[-1].number - 1]
    pipeline = rule_pipeline(rule.model, rule.formats)
    found = _gathered(pipeline, images)
    case_ids = tuple(one.case_id for one in found.found)
    where = f", sent to {', '.join(rule.send_to)}" if rule.send_to else ", sent nowhere"
    refused = _of_patients(images)
    if case_ids and not refused:
        what = (
            f"segmented by {rule.model} as {', '.join(case_ids)}; written as {', '.join(rule.formats)}{where}, unless "
            "the model refuses the scan (its size, spacing and the like are checked when it runs)"
        )
    else:
        case_ids = ()
        reason = refused or (found.skipped[0].reason if found.skipped else "it holds no scan")
        what = f"not segmented by {rule.model}: {reason}"
    if mixed := _mixed(known, images):
        what += f"; its images differ in {', '.join(mixed)}, and the node asks one of them"
    return SeriesCheck(
        uid, len(objects), objects[0][2], tried, tried[-1].number, rule.model, case_ids, tuple(rule.formats),
        tuple(rule.send_to), what,
    )  # fmt: skip


def _gathered(pipeline: Pipeline, images: Sequence[Path]) -> Discovery:
    """Find the scans of a series as the node does: in a folder that holds nothing else."""
    with TemporaryDirectory(prefix="medseg-check-") as name:
        for number, path in enumerate(images):
            Path(name, f"{number:08d}.dcm").symlink_to(path.resolve())
        inputs = Inputs((Path(name),), series_criteria=pipeline.series_criteria(), channels=pipeline.channels())
        found = pipeline.gather.stage.run(inputs, RunContext(Path("/nowhere")))
    assert isinstance(found, Discovery)
    return found


def _of_patients(images: Sequence[Path]) -> str:
    """Why images of several patients are refused; empty where they are of one."""
    for keyword, called in IDENTITIES:
        patients = {str(read_header(path).elements.get(keyword) or "").strip() for path in images} - {""}
        if len(patients) > 1:
            return PATIENTS.format(len(patients), called)
        if patients:
            break
    return ""


def _mixed(known: Sequence[Rule], images: Sequence[Path]) -> list[str]:
    """Keywords of the rules of which the images of a series do not all say the same."""
    headers = [rules.read_header(path, known) for path in images]
    keywords = dict.fromkeys(keyword for rule in known for keyword in rule.when)
    with lenient():
        return [one for one in keywords if len({str(header.get(one)) for header in headers}) > 1]


def _is_own(path: Path) -> bool:
    """Whether an object without images is one that this program wrote."""
    with lenient():
        header = read_dicom(path, stop_before_pixels=True, force=True, specific_tags=["Manufacturer"])
        return str(header.get("Manufacturer") or "") == "medseg"
