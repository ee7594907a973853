"""Stages that wait for one another across cases, to test what of two cases happens side by side."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from toy_stages import STAGES, Strict, Text, Toy

from medseg.engine.finishing import SMALL
from medseg.errors import InputError
from medseg.io.files.atomic import write_text
from medseg.types import Case, FoundScan, Geometry, Scan
from medseg.types.case_report import CaseReport
from medseg.types.stage import RunContext


class ReadCase(Toy):
    runs = "ahead"

    def run(self, item: FoundScan, context: RunContext) -> Case:
        shape = (SMALL + 1 if item.files[0].read_text() == "large" else 2, 1, 1)
        array = np.broadcast_to(np.uint8(0), (1, *shape))
        return Case(item.case_id, (Scan(array, Geometry(np.eye(4), shape)),))

    def report(self, value: Case) -> CaseReport:
        return CaseReport(voxels=value.scan.array.size)


class Options(Strict):
    fail_at: str = ""
    signal_at: str = ""
    number: int = 11
    sleep_at: str = ""
    waits: dict[str, str] = Field(default={}, description="by case, the event it waits for")


def note(context: RunContext, event: str) -> None:
    with (context.out / "events.log").open("a") as stream:
        stream.write(event + "\n")


def events(out: Path) -> list[str]:
    log = out / "events.log"
    return log.read_text().splitlines() if log.exists() else []


def act(options: Options, step: str, context: RunContext) -> None:
    case = str(context.case_id)
    note(context, f"{step} {case} begins")
    end = time.monotonic() + 20
    while case in options.waits and options.waits[case] not in events(context.out):
        if time.monotonic() > end:
            raise InputError(f"'{options.waits[case]}' never came")
        time.sleep(0.01)
    if case == options.fail_at:
        raise InputError("will not do")
    if case == options.signal_at:
        os.kill(os.getpid(), options.number)
    if case == options.sleep_at:
        time.sleep(60)
    note(context, f"{step} {case} ends")


class Network(Toy):
    Options = Options

    def run(self, item: Case, context: RunContext) -> Text:
        act(self.options, "network", context)
        return Text(item.case_id)


class Write(Toy):
    runs = "aside"
    Options = Options

    def run(self, item: Text, context: RunContext) -> Text:
        write_text(context.case_folder / "text.txt", item.text)
        act(self.options, "write", context)
        return item


SLOW: dict[str, Any] = {
    "description": "Read, compute, write.",
    "gather": {"name": "find", "stage": "find", "from": "inputs"},
    "each": [
        {"name": "read", "stage": "read-case", "from": "case"},
        {"name": "network", "stage": "network", "from": "read"},
        {"name": "write", "stage": "slow-write", "from": "network"},
    ],
}
STAGES |= {"read-case": ReadCase, "network": Network, "slow-write": Write}
