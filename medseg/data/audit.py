"""Finds what is wrong with a dataset before a GPU hour is spent on it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from medseg.counted import counted
from medseg.data.audit_summary import Summary, summarize
from medseg.data.class_findings import ambiguous_values, inverted_labels, missing_classes, untrained_classes
from medseg.data.ct_findings import ct_findings
from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.examine_all import examine_all
from medseg.data.findings import Finding
from medseg.data.mirror_pairs import MirrorPair, mirror_pairs
from medseg.data.object_findings import numbered_as_classes
from medseg.data.partial_findings import partial_label_findings
from medseg.data.patient_groups import patient_of
from medseg.data.rare_classes import kept_in_training
from medseg.data.unusual import unusual_cases
from medseg.io.files.walk import real

# Fraction of voxels at a channel's largest value beyond which it counts as clipped.
CLIPPED = 0.02
# Labels of fewer voxels may be equal by chance, in neighboring slices for instance.
SMALL = 30


@dataclass(frozen=True, repr=False)
class Audit:
    """What was found.

    - `findings`: blocking ones first, then by case.
    - `side`: case id to the part of the split it will be in.
    - `kept`: cases kept in training, each with the class that no other training case has.
    """

    data: Dataset
    examined: tuple[Examined, ...]
    findings: tuple[Finding, ...]
    side: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        cases, findings = counted(len(self.examined), "case"), counted(len(self.findings), "finding")
        return f"Audit({cases}, {findings}, {counted(len(self.blocked), 'case')} blocked)"

    @property
    def blocked(self) -> dict[str, str]:
        """Why each case that must not be trained on must not: case id to message."""
        found: dict[str, str] = {}
        for finding in self.findings:
            for case_id in (finding.case_id, *finding.others):
                if finding.blocks and case_id is not None:
                    found.setdefault(case_id, finding.message)
        return found

    @cached_property
    def summary(self) -> Summary:
        """What the dataset is, as it was read."""
        return summarize(self.data, self.examined, self.side)

    @cached_property
    def mirrored(self) -> tuple[MirrorPair, ...]:
        """Classes that are each other's mirror image in the labels."""
        return mirror_pairs([e.moments for e in self.examined if e.moments is not None])

    @property
    def clean(self) -> tuple[str, ...]:
        """Cases that can be trained on."""
        return tuple(e.case.case_id for e in self.examined if e.case.case_id not in self.blocked)


def audit(
    data: Dataset, *, side: Mapping[str, str] | None = None, folder: Path | None = None, jobs: int | None = None
) -> Audit:
    """Read every case once and look for what is wrong.

    - `side`: case id to the part of the split it will be in, to find what lies on both sides.
    - `folder`: keeps what was measured of each case, so that an audit that was stopped resumes.
    - `jobs`: how many cases are read at a time; by default as many as cores and memory allow.
    """
    examined = examine_all(data, data.labeled, folder=folder, jobs=jobs)
    findings = [
        *_single_cases(data, examined),
        *_mixed_dimensions(examined),
        *ambiguous_values(data, examined),
        *numbered_as_classes(data, examined),
        *inverted_labels(examined),
        *ct_findings(data, examined),
        *missing_classes(data, examined),
        *partial_label_findings(data, examined),
        *unusual_cases(examined),
        *_unreferenced(data),
    ]
    # What may be trained on is known; only now can be said what is on which side of the split.
    blocked = Audit(data, examined, tuple(findings)).blocked
    present = {e.case.case_id: e.classes for e in examined if e.case.case_id not in blocked}
    kept = kept_in_training(data, side or {}, present)
    side = {**(side or {}), **dict.fromkeys(kept, "train")}
    findings += [
        *_duplicates(examined, side),
        *_patient_leakage(data, side),
        *untrained_classes(data, present, side, kept),
    ]
    ordered = sorted(findings, key=lambda f: (not f.blocks, f.case_id or "", f.kind))
    return Audit(data, examined, tuple(ordered), side, kept)


def _single_cases(data: Dataset, examined: Iterable[Examined]) -> Iterator[Finding]:
    """What is wrong with one case by itself."""
    every = list(examined)
    for one in every:
        name = one.case.case_id
        if one.trouble is not None:
            yield Finding(one.trouble.kind, one.trouble.message + _matching_images(one, every), name)
        for note in one.notes:
            yield Finding(note.kind, note.message, name)
        if one.shape is None:
            continue
        if one.constant:
            yield Finding("constant", "The image has one value everywhere.", name)
        elif one.constant_channels:
            names = ", ".join(data.channels[k].name for k in one.constant_channels if k < len(data.channels))
            yield Finding("constant-channel", f"The channel {names} has one value everywhere.", name)
        if one.looks_like_labels:
            yield Finding(
                "image-is-labels",
                "The image has few values, all whole, in large patches, as labels do.",
                name,
            )
        if one.clipped > CLIPPED:
            yield Finding("clipped", f"{100 * one.clipped:.1f}% of voxels have their channel's largest value.", name)
        if one.voxels is not None and not any(one.voxels.values()):
            yield Finding("empty-reference", "The label holds no class.", name)


def _matching_images(one: Examined, every: Sequence[Examined]) -> str:
    """Which images a label on another grid would fit."""
    if one.trouble is None or one.trouble.kind != "reference-grid" or one.reference_grid is None:
        return ""
    fitting = [e.case.case_id for e in every if e.grid is not None and e.grid.matches(one.reference_grid)]
    if not fitting:
        return ""
    names = ", ".join(fitting[:3]) + (f" and {len(fitting) - 3} more" if len(fitting) > 3 else "")
    return f" The label's grid is that of {names}."


def _duplicates(examined: Sequence[Examined], side: Mapping[str, str]) -> Iterator[Finding]:
    for group in _groups(examined, lambda e: e.image_hash):
        names = tuple(e.case.case_id for e in group)
        sides = {side[name] for name in names if name in side}
        kind = "duplicate-leakage" if len(sides) > 1 else "duplicate"
        yield Finding(kind, f"{len(names)} cases have the same image: {', '.join(names)}.", names[0], names[1:])
    for group in _groups(examined, lambda e: e.reference_hash):
        images = {e.image_hash for e in group}
        filled = any(group[0].voxels.values()) if group[0].voxels else False
        if filled and len(images) > 1:
            names = tuple(e.case.case_id for e in group)
            message = f"{len(names)} different images have the same label: {', '.join(names)}."
            shared = _of_one_patient(group) or _may_be_chance(group[0])
            kind = "shared-reference" if shared else "same-reference"
            yield Finding(kind, message, names[0], names[1:])


def _of_one_patient(group: Sequence[Examined]) -> bool:
    """Whether cases are of one patient, or slices that by their names lie side by side."""
    patients = {e.case.group for e in group}
    if len(patients) == 1 and None not in patients:
        return True
    numbers = [[int(n) for n in re.findall(r"\d+", e.case.case_id)] for e in group]
    alike = {re.sub(r"\d+", "#", e.case.case_id) for e in group}
    if len(alike) > 1 or not numbers[0] or any(e.shape is None or 1 not in e.shape for e in group):
        return False
    first = {tuple(row[:-1]) for row in numbers}
    last = sorted(row[-1] for row in numbers)
    return len(first) == 1 and last[-1] - last[0] == len(group) - 1


def _may_be_chance(one: Examined) -> bool:
    """Whether a label is so small that two images may have the same."""
    return sum(int(count) for count in (one.voxels or {}).values()) < SMALL


def _mixed_dimensions(examined: Iterable[Examined]) -> Iterator[Finding]:
    shapes = [(e.case.case_id, 1 in e.shape) for e in examined if e.shape is not None]
    flat = [name for name, is_flat in shapes if is_flat]
    if 0 < len(flat) < len(shapes):
        shown = ", ".join(flat[:3]) + (f" and {len(flat) - 3} more" if len(flat) > 3 else "")
        message = f"{len(flat)} of {len(shapes)} cases have one slice, the others several: {shown}."
        yield Finding("mixed-dimensions", message)


def _groups(examined: Iterable[Examined], key: Callable[[Examined], str | None]) -> list[list[Examined]]:
    """Cases that share a key, where several do."""
    found: dict[str, list[Examined]] = defaultdict(list)
    for one in examined:
        if (value := key(one)) is not None:
            found[value].append(one)
    return [same for same in found.values() if len(same) > 1]


def _patient_leakage(data: Dataset, side: Mapping[str, str]) -> Iterator[Finding]:
    groups: dict[str, list[str]] = defaultdict(list)
    for case in data.labeled:
        if case.group is not None:
            groups[case.group].append(case.case_id)
    for number, names in enumerate(groups.values(), start=1):
        sides = sorted({side[name] for name in names if name in side})
        if len(sides) > 1:
            # The group's name may be a patient's, so it is not repeated.
            message = f"Group {number} has cases in {' and '.join(sides)}: {', '.join(names)}."
            kind = "patient-leakage" if data.grouped_by is None else "patient-leakage-by-name"
            yield Finding(kind, message, names[0], tuple(names[1:]))
    ids = [case.case_id for case in data.labeled]
    if len(ids) > 1 and len(shared := {patient_of(name) for name in ids}) == 1 and not groups:
        common = shared.pop()
        message = f"All {len(ids)} names begin with '{common}': if that is one patient, no case can be held out."
        yield Finding("one-patient", message)


def _unreferenced(data: Dataset) -> Iterator[Finding]:
    """Images without label, and files beside those of the cases that no case names."""
    for case in data.cases:
        if case.reference is None:
            yield Finding("missing-reference", "There is no label for this image.", case.case_id)
    if any(case.found for case in data.cases):
        return  # a folder of DICOM holds series of other kinds
    known: set[Path] = set()
    for case in data.cases:
        known.update(real(path) for path in case.files)
    suffixes = {_suffix(path) for path in known if path.is_file()}
    for folder in sorted({path.parent for path in known if path.is_file()}):
        for path in sorted(folder.iterdir()):
            listed = path.name.startswith(".") or real(path) in known
            if path.is_file() and _suffix(path) in suffixes and not listed:
                yield Finding("unreferenced-file", f"{path.name} in {folder.name} belongs to no case.")


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()
