"""Stages that need no scans and no network, to test the engine by itself."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from medseg.errors import InputError, MissingDependency
from medseg.io.files.atomic import write_text
from medseg.types import Discovery, FoundScan, Skipped
from medseg.types.run import BatchResult, Inputs
from medseg.types.stage import RunContext


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Toy:
    Options: type[Strict] = Strict

    def __init__(self, options: Any) -> None:
        self.options = options


class FindTexts(Toy):
    def run(self, item: Inputs, context: RunContext) -> Discovery:
        files = sorted(p for root in item.paths for p in root.glob("*"))
        found = tuple(FoundScan(p.stem, "nifti", (p,)) for p in files if p.suffix == ".txt")
        left = tuple(Skipped(p, "is no text", "Give a text.", p.suffix == ".bad") for p in files if p.suffix != ".txt")
        return Discovery(found, left)


@dataclass(frozen=True)
class Text:
    text: str


class ReadText(Toy):
    runs = "ahead"

    def run(self, item: FoundScan, context: RunContext) -> Text:
        text = item.files[0].read_text()
        if text == "unreadable":
            raise InputError("cannot be read", where=item.files[0], fix="Write it again.")
        if text == "bug":
            raise ZeroDivisionError("a surprise")
        return Text(text)


class Shout(Toy):
    class Options(Strict):
        mark: str = Field(default="!")
        times: int = Field(default=1, ge=1)

    def run(self, item: Text, context: RunContext) -> Text:
        return Text(item.text.upper() + self.options.mark * self.options.times)


@dataclass(frozen=True)
class Both:
    quiet: Text
    loud: Text


class WriteBoth(Toy):
    class Options(Strict):
        signal_at: str = Field(default="", description="case in the middle of which the process gets a signal")
        number: int = 9
        sleep_at: str = ""
        hoard_at: str = ""
        orphaned_at: str = Field(default="", description="case in which the parent of the process is killed")
        seconds: float = 0.0
        pen: str = Field(default="at hand", description="at hand, lost (found in a while), sold out or broken")

    def identity(self) -> dict[str, str]:
        return {}

    def get_ready(self, announce: Callable[[str], None]) -> None:
        if self.options.pen == "at hand":
            return
        announce("looking for a pen, once")
        if self.options.pen == "broken":
            raise ZeroDivisionError("a broken pen")
        if self.options.pen == "sold out":
            raise MissingDependency("there is no pen", fix="Buy one.")
        time.sleep(1.5)

    def run(self, item: Both, context: RunContext) -> Both:
        if self.options.pen == "broken":
            raise ZeroDivisionError("a broken pen")
        if context.on_windows is not None:
            context.on_windows(1, 2)
        write_text(context.case_folder / "quiet.txt", item.quiet.text)
        if context.case_id == self.options.signal_at:
            os.kill(os.getpid(), self.options.number)
        if context.case_id == self.options.orphaned_at:
            os.kill(os.getppid(), 9)
            time.sleep(60)
        time.sleep(self.options.seconds)
        if context.case_id == self.options.sleep_at:
            time.sleep(60)
        if context.case_id == self.options.hoard_at:
            hoard = bytearray(1 << 30)
            hoard[:: 1 << 12] = b"x" * (1 << 18)
            time.sleep(60)
        write_text(context.case_folder / "loud.txt", item.loud.text)
        return item


class Summary(Toy):
    def run(self, item: BatchResult, context: RunContext) -> BatchResult:
        write_text(Path(context.out) / "summary.txt", "\n".join(f"{o.case_id} {o.state}" for o in item.outcomes))
        return item


STRUCTURE: dict[str, Any] = {
    "description": "Read texts and shout them.",
    "gather": {"name": "find", "stage": "find", "from": "inputs"},
    "each": [
        {"name": "read", "stage": "read", "from": "case"},
        {"name": "shout", "stage": "shout", "from": "read"},
        {"name": "write", "stage": "write", "from": {"quiet": "read", "loud": "shout"}},
    ],
    "finish": [{"name": "summary", "stage": "summary", "from": "batch"}],
}
SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from toy_stages import STAGES, STRUCTURE
from medseg.engine import pipeline
pipeline.stage_class = STAGES.__getitem__
from medseg.config.load import build
from medseg.cluster.connection import OnCluster
from medseg.engine.runner import RunOptions, run
from medseg.types.run import Inputs
structure = build(pipeline.PipelineFile, STRUCTURE)
run(pipeline.assemble("toy", structure, {{"write": {write!r}}}), Inputs((Path({texts!r}),)), Path({out!r}),
    RunOptions(isolate={isolate}, cluster=OnCluster({address!r}) if {address!r} else None))
"""


def script(texts: Path, out: Path, write: dict[str, Any], *, isolate: bool = True, address: str = "") -> list[str]:
    """The command of a process of its own that runs these stages, from a script without a main guard.

    With an address, on the Ray cluster there.
    """
    here = str(Path(__file__).parent)
    filled = SCRIPT.format(here=here, texts=str(texts), out=str(out), write=write, isolate=isolate, address=address)
    return [sys.executable, "-c", filled]


STAGES = {"find": FindTexts, "read": ReadText, "shout": Shout, "write": WriteBoth, "summary": Summary}
