"""What damaged files, kills and hostile archives come to, in numbers; writes docs/benchmarks/reliability.md.

python benchmarks/bench_reliability.py --ask > archives.log
python benchmarks/bench_reliability.py --fuzz LOG... --kills LOG... --soak LOG... --archives LOG... [--out FILE]

The first asks archives that misbehave, each by `medseg pull` in a process of its own, whose time and memory are
measured. The other logs are what `make fuzz`, `make kills` and `make soak` print.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from markdown import table, write

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from hostile_archives import (  # noqa: E402
    Write,
    bomb,
    deflated_bomb,
    drip,
    drip_of_headers,
    elsewhere,
    endless,
    endless_object,
    endless_object_zipped,
    new_ones_for_ever,
    objects,
    plain,
    searched_then,
    serving,
    small_object,
)  # fmt: skip

ARCHIVES: dict[str, Write] = {
    "JSON without end": endless,
    "a gzip bomb (80 MB in 80 KB)": bomb,
    "a byte every 50 ms": drip,
    "a byte of the headers every 50 ms": drip_of_headers,
    "a redirection to another host": elsewhere,
    "new studies on every page, for ever": new_ones_for_ever(),
    "JSON nested 200,000 deep": plain(b"[" * 200_000),
    "a page to sign in, code 200": plain(b"<html>login</html>", "text/html"),
    "an object without end": searched_then(endless_object),
    "an object without end, zipped": searched_then(endless_object_zipped),
    "the same object for ever": searched_then(objects(small_object, 1 << 30)),
    "an answer that ends before its own end": searched_then(objects(small_object, 1, end=b"")),
    "an object cut before the length it states": searched_then(objects(lambda: small_object()[:-10], 1)),
    "a deflated object of 300 MB in 0.3 MB": searched_then(objects(deflated_bomb, 1)),
    "a page to sign in where the series should be": searched_then(plain(b"<html>login</html>", "text/html")),
}
VERDICTS = ("read", "refused", "in C", "crash", "bug", "silent", "left", "limit")
FUZZED = (
    "Small good files of every kind are damaged, read, and given to a verb in a child process. *in C*: a library "
    "written in C crashed; a user's verb, which is tried as well then, loses one file by it. *crash*, *bug* (an "
    "exception that nothing foresaw), *silent* (damage that a checksum or the length tells, and nobody told), "
    "*left* (a temporary file) and *limit* (60 s or 3 GB) are failures. A file counts twice where it is read both"
    " by a reader and by a verb; one that the damage leaves as it was does not count."
)
KILLED = (
    "Each verb is ended at a random moment, by SIGKILL or by a signal that asks, and run again: every file must "
    "have the bytes of a run that nobody ended, and no temporary file may stay."
)
SOAKED = "Resident memory, open files and temporary files of all processes of one `medseg predict`."
ASKED = (
    "`medseg pull --retries 0` from each; other jobs ran beside it, so that times are upper bounds. Bounds: an answer "
    "has 64 MiB, an object 2 GiB (8 MiB in memory) and, deflated, 256 MiB inflated, a search 10,000 answers and 300 s; "
    "what is sent over DICOMweb takes 300 s and 1 s more for each 10,000 bytes that the archive has taken; "
    "an answer begins within 130 s after that and then comes at 1,000 bytes a second or more, and it, or each object "
    "of it, takes at most 300 s and 1 s more for each 250,000 bytes; nothing further of a series, and no further try, "
    "is begun after 600 s and 1 s more for each 25,000 bytes that came, nor of what is sent after 600 s and 1 s more "
    "for each 10,000 bytes that are stored, nor of a search after 300 s and 1 s more for each study and series that it "
    "found; what is between objects has 1 MiB, and twice as many as the "
    "archive counts, and 100, may come; over DIMSE a part of a message has 16 MiB and takes 30 s, a message takes 60 s "
    "and 1 s more for each 100,000 bytes, its command has 1 MiB, and a series without a further object for 300 s is "
    "given up."
)
NOT_TRIED = (
    "Not tried: damage by anything but these mutations, such as a fuzzer that follows the code's branches; TIFF and "
    "NIfTI of more than some kilobytes; a network's file system that loses writes; power that is cut; Windows; macOS."
)


def fuzz_table(logs: list[Path]) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    files = 0
    for log in logs:
        for line in log.read_text().splitlines():
            words = line.rsplit(maxsplit=len(VERDICTS))
            if len(words) == 1 + len(VERDICTS) and all(word.isdigit() for word in words[1:]):
                counts.update(
                    {(words[0].strip(), verdict): int(n) for verdict, n in zip(VERDICTS, words[1:], strict=True)}
                )
            elif found := re.match(r"(\d+) damaged files in", line):
                files += int(found[1])
    names = sorted({name for name, _ in counts} - {"all"})
    rows = {name: [counts[name, verdict] for verdict in VERDICTS] for name in (*names, "all")}
    return f"{files:,} damaged files.\n\n" + table(VERDICTS, rows)


def kills_table(logs: list[Path]) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    rounds = differences = 0
    for log in logs:
        for line in log.read_text().splitlines():
            if found := re.fullmatch(r"(.+) (SIG[A-Z]+) +(\d+)", line):
                counts[found[1].strip(), found[2]] += int(found[3])
            elif found := re.match(r"(\d+) rounds, (\d+) with differences", line):
                rounds, differences = rounds + int(found[1]), differences + int(found[2])
    signals = sorted({signal for _, signal in counts})
    rows = {verb: [counts[verb, signal] for signal in signals] for verb in sorted({verb for verb, _ in counts})}
    return f"{rounds} rounds, {differences} with differences.\n\n" + table(signals, rows)


def archives_table(logs: list[Path]) -> str:
    lines = [line.split("\t") for log in logs for line in log.read_text().splitlines()]
    return table(("exit code", "time", "peak memory", "what it says"), {name: rest for name, *rest in lines})


def ask(server: Write) -> list[str]:
    """Exit code, seconds, peak memory and the last line of a pull from a hostile archive."""
    with serving(server) as address, tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable,
            "-m",
            "medseg",
            "pull",
            "--from",
            address,
            "--query",
            "PatientID=1",
            "-o",
            f"{out}/o",
        ]
        begun, peak = time.monotonic(), 0
        process = subprocess.Popen(
            [*command, "--retries", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            time.sleep(0.02)
        seconds = time.monotonic() - begun
        assert process.stdout is not None
        lines = process.stdout.read().replace(address, "ADDRESS").splitlines()
        said = next((line for line in lines if "ADDRESS: " in line), "").partition("ADDRESS: ")[2]
    return [str(process.returncode), f"{seconds:.0f} s", f"{peak >> 20} MB", said]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("fuzz", "kills", "soak", "archives"):
        parser.add_argument(f"--{name}", type=Path, nargs="*", default=[])
    parser.add_argument("--ask", nargs="*", metavar="ARCHIVE", help="ask these, or all, and print what came of it")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks" / "reliability.md")
    options = parser.parse_args()
    if options.ask is not None:
        for name in options.ask or ARCHIVES:
            print(name, *ask(ARCHIVES[name]), sep="\t", flush=True)
        return
    soak = "\n".join(log.read_text().strip() for log in options.soak)
    sections = (
        (options.fuzz, "## Damaged files", FUZZED, fuzz_table),
        (options.kills, "## Kills", KILLED, kills_table),
        (options.soak, "## Many cases in one run", SOAKED, lambda _: f"```text\n{soak}\n```"),
        (options.archives, "## Archives that misbehave", ASKED, archives_table),
    )
    paragraphs = [
        "By `python benchmarks/bench_reliability.py`, from what `make fuzz`, `make kills`, `make soak` and its `--ask` "
        "print.",
        *(text for logs, head, about, content in sections if logs for text in (head, about, content(logs))),
        NOT_TRIED,
    ]
    write(options.out, "Damaged files, kills and hostile archives", paragraphs)


if __name__ == "__main__":
    main()
