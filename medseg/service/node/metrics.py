"""Counts for Prometheus, in its text format; nothing but counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medseg.service.node.status import NodeStatus


def metrics(status: NodeStatus, answers: Mapping[int, int]) -> str:
    """Return the text of ``/metrics``; `answers` counts what senders were told, by DIMSE status."""
    return "\n".join([*_lines(status, answers), ""])


def _lines(status: NodeStatus, answers: Mapping[int, int]) -> Iterator[str]:
    yield from _family("medseg_node_objects", "gauge", "Objects recorded", [({}, status.objects)])
    yield from _family(
        "medseg_node_answers_total",
        "counter",
        "Answers to C-STORE since the start, by DIMSE status",
        [({"status": f"0x{code:04X}"}, count) for code, count in sorted(answers.items())],
    )
    yield from _family("medseg_node_quarantined", "gauge", "Objects in quarantine", [({}, status.quarantined)])
    yield from _family("medseg_node_series", "gauge", "Series by state", _by_state(status.series))
    yield from _family("medseg_node_jobs", "gauge", "Jobs by state", _by_state(status.jobs))
    yield from _family(
        "medseg_node_deliveries",
        "gauge",
        "Deliveries by destination and state",
        [
            ({"destination": name, "state": state}, count)
            for name, counts in sorted(status.deliveries.items())
            for state, count in counts.items()
        ],
    )
    yield from _family(
        "medseg_node_uncommitted",
        "gauge",
        "Results that a destination took and has not committed to keep within commitment_hours",
        [({"destination": name}, count) for name, count in sorted(status.uncommitted.items())],
    )
    yield from _family(
        "medseg_node_kept_longer",
        "gauge",
        "Series past keep_days that no archive commits to keep",
        [({}, status.kept_longer)],
    )
    yield from _family(
        "medseg_node_oldest_waiting_seconds", "gauge", "Age of the oldest that waits", [({}, status.oldest_waiting)]
    )
    yield from _family("medseg_node_disk_free_bytes", "gauge", "Free bytes of the disk", [({}, status.free_bytes)])


def _by_state(counts: Mapping[str, int]) -> list[tuple[dict[str, str], float]]:
    return [({"state": state}, count) for state, count in counts.items()]


def _family(name: str, kind: str, text: str, samples: list[tuple[dict[str, str], float]]) -> Iterator[str]:
    yield f"# HELP {name} {text}."
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{inside}}} {value:.15g}" if inside else f"{name} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
