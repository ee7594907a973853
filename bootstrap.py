#!/usr/bin/env python3
"""Make `.venv` beside this file and install medseg into it; needs nothing but Python 3.11 or newer.

Usage: python3 bootstrap.py [EXTRAS], where EXTRAS is a comma-separated list (default: dev).

uv does the installing because it is several times faster than pip; where uv cannot be had or fails, pip does. What was
installed is remembered as a hash, so a second call with nothing changed returns at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / ".medseg-installed"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CONSTRAINTS = ROOT / "constraints.txt"


def main() -> int:
    """Install what is missing; return the exit code."""
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"medseg needs Python 3.11 or newer, and this is {found}. Run: python3.11 bootstrap.py",
            file=sys.stderr,
        )
        return 2
    extras = sys.argv[1] if len(sys.argv) > 1 else "dev"
    wanted = fingerprint(extras)
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return 0
    started = time.monotonic()
    print(f"Setting up {ENVIRONMENT} (about a minute the first time) ...", file=sys.stderr)
    make_environment()
    if not install(extras):
        print(
            f"Installing medseg[{extras}] failed; the lines above say why. Check that the package index can be "
            "reached (PIP_INDEX_URL, PIP_CERT), then run the same command again.",
            file=sys.stderr,
        )
        return 1
    STAMP.write_text(wanted, encoding="utf-8")
    print(f"Ready in {time.monotonic() - started:.0f} s.", file=sys.stderr)
    return 0


def fingerprint(extras: str) -> str:
    """Hash of everything that decides what gets installed."""
    digest = hashlib.sha256(f"{extras}\n{sys.version}\n{ROOT}\n".encode())
    for file in (ROOT / "pyproject.toml", CONSTRAINTS):
        digest.update(file.read_bytes() if file.exists() else b"-")
    return digest.hexdigest()


def make_environment() -> None:
    """Create `.venv`; one left behind by another Python, or half made, is replaced."""
    STAMP.unlink(missing_ok=True)
    if PYTHON.exists():
        answer = subprocess.run(
            [PYTHON, "-c", "import sys, pip; print(sys.version)"], capture_output=True, text=True, check=False
        )
        if answer.returncode == 0 and answer.stdout.strip() == sys.version:
            return
    if ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    venv.create(ENVIRONMENT, with_pip=True)


def install(extras: str) -> bool:
    """Install medseg in place with uv, or with pip where uv fails; True when it worked."""
    target = ["-e", f"{ROOT}[{extras}]"]
    if CONSTRAINTS.exists():
        target += ["-c", str(CONSTRAINTS)]
    if run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv>=0.9") and run(
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",  # as pip does: else every process compiles torch, MLflow and MONAI anew
        "--python",
        str(PYTHON),
        *target,
        environment=uv_environment(),
    ):
        return True
    print("uv did not manage; trying pip ...", file=sys.stderr)
    return run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *target)


def uv_environment() -> dict[str, str]:
    """The environment with pip's settings translated to uv's; settings already made for uv win."""
    environment = dict(os.environ)
    for theirs, ours, separator in (
        ("PIP_FIND_LINKS", "UV_FIND_LINKS", ","),
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", None),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX", " "),
        ("PIP_CERT", "SSL_CERT_FILE", None),
    ):
        if value := environment.get(theirs, "").strip():
            environment.setdefault(ours, separator.join(value.split()) if separator else value)
    return environment


def run(*arguments: str, environment: dict[str, str] | None = None) -> bool:
    """Run the environment's Python with these arguments; True when it exits 0."""
    return subprocess.run([str(PYTHON), *arguments], env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
