"""Writes a plan as YAML that people read and change: each part under the reason for it."""

from __future__ import annotations

import textwrap

import yaml

from medseg.counted import counted
from medseg.data.dataset import Dataset
from medseg.data.fingerprint import Fingerprint
from medseg.data.partial_labels import annotation_text, partly_annotated
from medseg.data.plan import Plan

WIDTH = 110


def plan_text(plan: Plan, data: Dataset, fingerprint: Fingerprint, *, command: str) -> str:
    """YAML of a plan, valid as ``medseg train --config``."""
    lines = [f"# {command}", "#", *_comment(_summary(data, fingerprint)), ""]
    for key, value in plan.values.items():
        reasons = {name: why for name, why in plan.reasons.items() if name == key or name.startswith(f"{key}.")}
        for name, why in reasons.items():
            lines += _comment(f"{name}: {why}" if name != key else why)
        # Innermost lists and mappings on one line; a bare value must not become a mapping on one line itself.
        style = None if isinstance(value, dict | list) else False
        dumped = yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=style, width=WIDTH)
        lines.append(dumped)
    return "\n".join(lines)


def explanation(plan: Plan, data: Dataset, fingerprint: Fingerprint) -> str:
    """What was fingerprint and each choice with its reason, as text for a terminal."""
    rows = [_summary(data, fingerprint), ""]
    for name, why in plan.reasons.items():
        rows.append(f"{name} = {_shown(_value(plan, name))}")
        rows += textwrap.wrap(why, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(rows)


def _summary(data: Dataset, fingerprint: Fingerprint) -> str:
    shapes, spacings = fingerprint.shapes(cropped=False), fingerprint.spacings
    skipped = f", {len(fingerprint.skipped)} skipped" if fingerprint.skipped else ""
    parts = [
        f"{data.name}: {counted(len(fingerprint.cases), 'case')} read{skipped}",
        f"channels {', '.join(c.name for c in data.channels)}; classes {', '.join(c.name for c in data.table)}",
        f"size {_range(shapes, '.0f')} voxels",
    ]
    if data.dimensions == 3:
        parts.append(f"spacing {_range(spacings, '.3g')} mm")
    if partly := partly_annotated(data):
        parts.append(f"{annotation_text(partly, len(data.labeled))}, and masked in the loss of the others")
    return "; ".join(parts) + "."


def _range(rows: object, form: str) -> str:
    low, high = ([format(float(v), form) for v in pick] for pick in (rows.min(axis=0), rows.max(axis=0)))  # type: ignore[attr-defined]
    return " x ".join(low) if low == high else f"{' x '.join(low)} to {' x '.join(high)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _value(plan: Plan, name: str) -> object:
    value: object = plan.values
    for part in name.split("."):
        if isinstance(value, list):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
    return value


def _shown(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
