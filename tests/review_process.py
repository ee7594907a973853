"""A process of `medseg review`, and a client of it that came in by the printed address."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests


class Page:
    """A server process; `address` is the one line it prints."""

    def __init__(self, out: Path, *more: str) -> None:
        command = [sys.executable, "-m", "medseg", "review", str(out), "--no-browser", "--reviewer", "Ada", *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        self.session = requests.Session()
        if match := re.match(r"https?://[^/]+", self.address):
            self.at = match[0]

    def come_in(self, **more: Any) -> requests.Response:
        return self.session.get(self.address, timeout=30, **more)

    def case(self, case_id: str) -> dict[str, Any]:
        return self.session.get(f"{self.at}/api/case/{case_id}", timeout=30).json()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait for its end; `errors` is its log."""
        _, self.errors = self.process.communicate(timeout=30)
        return self.process.returncode
