"""`medseg doctor`: what this machine can do and what is missing."""

from __future__ import annotations

import sys

from medseg.cli.options import JsonOption
from medseg.cli.verb import print_json

SIGNS = {"ok": "ok      ", "missing": "optional", "wrong": "WRONG   "}


def doctor(json: JsonOption = False) -> int:
    """Say what this machine can do, what is missing, and what to install.

    Example: medseg doctor
    """
    from medseg.engine.doctor import as_rows
    from medseg.engine.doctor import doctor as examine

    findings = examine()
    if json:
        print_json(as_rows(findings))
    else:
        for finding in findings:
            fix = f"  ->  {finding.fix}" if finding.fix else ""
            sys.stdout.write(f"{SIGNS[finding.verdict]}  {finding.what}: {finding.detail}{fix}\n")
    return 4 if any(finding.verdict == "wrong" for finding in findings) else 0
