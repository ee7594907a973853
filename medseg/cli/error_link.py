"""Ends a message with the code of its error, which on a terminal leads to the documentation's page of errors."""

from __future__ import annotations

import os
from typing import TextIO

from medseg.errors import page_of
from medseg.harmless import trusted

# Of TERM. Other terminals show a link, or skip it as a sequence that they do not know (OSC 8).
WITHOUT_LINKS = {"", "dumb", "linux"}


def write_code(code: str, stream: TextIO) -> None:
    """Write a code in brackets, as a link where the stream is a terminal that may show links."""
    shown = f"[{code}]"
    if stream.isatty() and os.environ.get("TERM", "") not in WITHOUT_LINKS:
        shown = f"\x1b]8;;{page_of(code)}\x1b\\{shown}\x1b]8;;\x1b\\"
    trusted(stream).write(f" {shown}")
