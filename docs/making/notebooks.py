"""Makes a notebook of each tutorial: text, Python and commands of the page, in its order.

python docs/making/notebooks.py writes docs/tutorial/NAME.ipynb beside each page.

A block of commands becomes a cell of the shell, which stops at the first that fails; what the page says of a block in
a comment holds in the notebook too: commands that need something else are shown and not run, ``exit code 3`` is no
failure, and what is ``served at`` an address is started, waited for, and ended by the notebook's last cell.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorial"
NAMES = ("first-scan", "train", "retrain", "node", "count-cells", "python")
BLOCK = re.compile(r"(?:^<!-- (?P<note>[^\n]+) -->\n)?^```(?P<kind>console|python)\n(?P<body>.*?)^```\n", re.M | re.S)
STARTED = """\
import subprocess
import time
from urllib.error import URLError
from urllib.request import urlopen

server = subprocess.Popen({words!r})
for _ in range(120):
    time.sleep(1)
    try:
        urlopen({address!r})
        break
    except URLError:
        pass"""
ENDED = "server.terminate()\nserver.wait()"


def cells(page: str) -> list[dict[str, Any]]:
    """Cells of a page."""
    found, at, ended = [], 0, ""
    for block in BLOCK.finditer(page):
        note, body = block["note"] or "", block["body"].rstrip("\n")
        if note.startswith("commands need"):
            continue  # stays text
        found.append(_text(page[at : block.start()]))
        at = block.end()
        if block["kind"] == "python":
            found.append(_code(body))
        elif note.startswith("served at "):
            found.append(_code(STARTED.format(words=body.split(), address=note.removeprefix("served at "))))
            ended = ENDED
        elif note.startswith("exit code "):
            found.append(_code(f"%%bash\n{body} || test $? -eq {int(note.removeprefix('exit code '))}"))
        else:
            found.append(_code(f"%%bash\nset -e\n{body}"))
    found.append(_text(page[at:]))
    if ended:
        found.append(_code(ended))
    return [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(c for c in found if c["source"])]


def _text(source: str) -> dict[str, Any]:
    shown = re.sub(r"^<!-- .*? -->\n", "", source, flags=re.M).strip("\n")
    return {"cell_type": "markdown", "metadata": {}, "source": shown.splitlines(keepends=True)}


def _code(source: str) -> dict[str, Any]:
    lines = source.splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": lines}


def notebook(name: str) -> str:
    """The notebook of a tutorial, as JSON."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    page = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    whole = {"cells": cells(page), "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for one in NAMES:
        (TUTORIALS / f"{one}.ipynb").write_text(notebook(one), encoding="utf-8")
