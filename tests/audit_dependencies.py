"""Asks pip-audit for the known vulnerabilities of what is installed; run by `make audit`.

Fails where one is found that `accepted_vulnerabilities.txt` does not name, and where that file names one that is no
longer found, so that the list stays true.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_name("accepted_vulnerabilities.txt")
LINE = re.compile(r"(?P<id>\S+)\s+(?P<package>\S+)\s+(?P<date>\d{4}-\d\d-\d\d)\s+(?P<why>.{20,})")


@dataclass(frozen=True)
class Found:
    """One known vulnerability of an installed package."""

    package: str
    version: str
    names: tuple[str, ...]  # its id and those it has in other lists
    fixed_in: tuple[str, ...]


def accepted(text: str) -> dict[str, str]:
    """Package by id; `ValueError` for a line without a date and a reason."""
    listed = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            match = LINE.fullmatch(line.strip())
            if match is None:
                raise ValueError(f"{LIST.name}: a line needs an id, a package, a date and a reason: {line}")
            listed[match["id"]] = match["package"]
    return listed


def found(report: Mapping[str, Any]) -> list[Found]:
    """Take apart what pip-audit reports as JSON."""
    return [
        Found(
            package["name"],
            package["version"],
            (one["id"], *one.get("aliases", ())),
            tuple(one.get("fix_versions", ())),
        )
        for package in report["dependencies"]
        for one in package.get("vulns", ())
    ]


def was_asked(report: Mapping[str, Any]) -> bool:
    """Whether any package could be looked up: pip-audit ends well where none could."""
    return any("skip_reason" not in package for package in report["dependencies"])


def not_audited(report: Mapping[str, Any]) -> list[str]:
    """Packages that pip-audit could not look up, but medseg itself."""
    return [
        package["name"]
        for package in report["dependencies"]
        if "skip_reason" in package and package["name"] != "medseg"
    ]


def complaints(vulnerabilities: Iterable[Found], listed: Mapping[str, str]) -> list[str]:
    """Return one sentence for everything that must be looked at."""
    said, used = [], set()
    for one in vulnerabilities:
        known = [name for name in one.names if listed.get(name) == one.package]
        used.update(known)
        if not known:
            fix = f"fixed in {', '.join(one.fixed_in)}" if one.fixed_in else "not fixed yet"
            said.append(f"{one.package} {one.version} has {one.names[0]} ({fix}).")
    said += [f"{name} of {listed[name]} is not found any more: delete its line." for name in listed.keys() - used]
    return sorted(said)


def main() -> int:
    """Run pip-audit in this environment and return the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        sys.stderr.write(done.stderr)
        return 2
    if not was_asked(report):
        sys.stderr.write("No package could be looked up; pip-audit needs a way to pypi.org.\n")
        return 2
    said = complaints(found(report), accepted(LIST.read_text(encoding="utf-8")))
    missed = not_audited(report)
    print(*said, sep="\n")
    print(f"{len(report['dependencies'])} packages looked up; not known there: {', '.join(missed) or 'none'}.")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
