"""What the benchmark pages say, side by side: read from their tables when the site is built, never typed.

python docs/making/claims.py prints the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parents[1] / "benchmarks"


@dataclass(frozen=True)
class Claim:
    """One figure of medseg beside one of another: the page, the table's column, and the two rows.

    Where several parts of a page have such a table, `part` is the heading of the one meant.
    """

    task: str
    measure: str
    page: str
    column: str
    ours: tuple[str, ...]
    other: tuple[str, ...]
    name: str
    more_is_better: bool = False
    note: str = ""
    digits: int = 1
    part: str | None = None

    def figures(self) -> tuple[float, ...]:
        """Ours and the other's, as the page has them."""
        return tuple(cell(self.page, row, self.column, self.part) for row in (self.ours, self.other))

    @property
    def we_win(self) -> bool:
        """Whether medseg has the better figure."""
        ours, other = self.figures()
        return ours > other if self.more_is_better else ours < other

    @property
    def by(self) -> str:
        """By how much the better one is better: how much more quality, or how many times less of what is spent."""
        ours, other = self.figures()
        if self.more_is_better:
            return f"{abs(ours - other):.3f} more"
        return f"{max(ours, other) / min(ours, other):.{self.digits}f} times less"


NNUNET = "52 scans with a model of nnU-Net's, start to exit"
LARGE = "512 x 512 x 200 CT to labels, all but the network"
WHOLE = "A whole case with a network of nnU-Net's size, float32 on both sides"
MASKS = "Dice, HD95 and NSD of ten organs in 512 x 512 x 300"
OBJECTS = "Objects of 512 x 512 x 800 voxels"
PAGE = "The review page, 512 x 512 x 400 voxels, no GPU"
READING = "Finding and reading a CT of 500 slices"
MARKERS = "Names and numbers of a patient in unusual places of DICOM"
BFLOAT16, FLOAT32 = ("medseg-openvino-bfloat16",), ("medseg-openvino-float32",)
GOOD = "good (mean Dice 0.96)"
NUCLEI = ("network with border (`nuclei`)",)
SHORT = "trained for 240 CPU-s each, defaults of both"

CLAIMS = (
    Claim(NNUNET, "CPU-s", "nnunet", "CPU-s", BFLOAT16, ("nnunet",), "nnU-Net", note="bfloat16, which its card allows"),
    Claim(NNUNET, "CPU-s", "nnunet", "CPU-s", FLOAT32, ("nnunet",), "nnU-Net", note="float32"),
    Claim(NNUNET, "wall s", "nnunet", "wall s", FLOAT32, ("nnunet, one",), "nnU-Net in one process", note="float32"),
    Claim(NNUNET, "GB", "nnunet", "GB", BFLOAT16, ("nnunet",), "nnU-Net", note="bfloat16"),
    Claim(LARGE, "wall s", "large-ct", "wall s", ("medseg",), ("monai",), "MONAI"),
    Claim(LARGE, "GB", "large-ct", "GB", ("medseg",), ("monai",), "MONAI"),
    Claim(WHOLE, "wall s", "whole-case", "wall s", ("openvino-float32",), ("monai",), "MONAI"),
    Claim(MASKS, "CPU-s", "evaluate", "CPU-s", (GOOD, "medseg"), (GOOD, "surface-distance"), "surface-distance"),
    Claim(MASKS, "CPU-s", "evaluate", "CPU-s", (GOOD, "medseg"), (GOOD, "MONAI"), "MONAI"),
    Claim(OBJECTS, "CPU-s", "objects", "CPU-s", ("medseg panoptic",), ("scikit-image",), "scikit-image"),
    Claim(READING, "CPU-s", "reading", "CPU time, s", ("medseg",), ("SimpleITK",), "SimpleITK"),
    Claim(READING, "MiB", "reading", "Memory, MiB", ("medseg",), ("SimpleITK",), "SimpleITK"),
    Claim(MARKERS, "fraction cleaned", "deidentify", "fraction cleaned", ("medseg",), ("dicom-anonymizer",),
          "dicom-anonymizer", more_is_better=True),
    Claim(MARKERS, "fraction cleaned", "deidentify", "fraction cleaned", ("medseg",), ("deid, strip",), "deid",
          more_is_better=True),
    Claim(PAGE, "s to the first slices", "review", "first slices, s", ("medseg",), ("NiiVue",), "NiiVue"),
    Claim(PAGE, "bytes a voxel", "review", "memory, bytes a voxel", ("medseg",), ("NiiVue",), "NiiVue"),
    Claim(PAGE, "ms, pen to paint", "review", "pen to paint p95, ms", ("medseg",), ("NiiVue",), "NiiVue"),
    Claim(
        "100 slices in JPEG-LS", "CPU-s", "reading", "CPU time, s", ("JPEG-LS, lossless", "medseg"),
        ("JPEG-LS, lossless", "SimpleITK"), "SimpleITK", digits=2,
    ),
    Claim(
        "Nuclei in images, 50 held out", "PQ", "nuclei", "pq", NUCLEI, ("network without border, watershed",),
        "watershed on the same network without border class", more_is_better=True,
    ),
    Claim(
        "Nuclei in images, 50 held out", "PQ", "nuclei", "pq", NUCLEI, ("Otsu, watershed",),
        "Otsu's threshold and watershed", more_is_better=True,
    ),
    Claim("Vessels of the retina, 20 held out", "Dice", "arena", "Dice", ("medseg",), ("MONAI",), "MONAI's tutorial",
          more_is_better=True, note=SHORT, part="drive"),
    Claim("Cardiac MR, 20 held out", "Dice", "arena", "Dice", ("medseg",), ("MONAI",), "MONAI's tutorial",
          more_is_better=True, note=SHORT, part="acdc"),
    Claim("Lesions in breast ultrasound, 50 held out", "Dice", "arena", "Dice", ("medseg",), ("MONAI",),
          "MONAI's tutorial", more_is_better=True, note=SHORT, part="busi"),
    Claim(
        "Sarcoma in cropped CT and PET", "mean Dice", "sarcoma", "mean Dice", ("CT and PET",),
        ("(ellipsoid in the crop",),
        "an ellipsoid that looks at no voxel", more_is_better=True, note="the crop alone shows where the tumor is",
    ),
)  # fmt: skip
# The home page has these: how well, then how fast.
SHOWN = (19, 20, 0, 1, 4, 8)


def tables(page: str, part: str | None = None) -> list[list[list[str]]]:
    """Tables of a page, or of the part under a heading, as rows of cells, the header first."""
    found: list[list[list[str]]] = [[]]
    here = None
    for line in (PAGES / f"{page}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            here = line.lstrip("# ")
        if not line.startswith("|"):
            found.append([])
        elif set(line) - set("|-: ") and part in (None, here):
            found[-1].append([part.strip() for part in line.strip().strip("|").split("|")])
    return [rows for rows in found if rows]


def cell(page: str, row: tuple[str, ...], column: str, part: str | None = None) -> float:
    """The first figure in this column of a row that begins with these cells; `KeyError` where a page has none."""
    for header, *rows in tables(page, part):
        if column not in header:
            continue
        exact = [one for one in rows if tuple(one[: len(row)]) == row]
        for one in exact or [one for one in rows if all(c.startswith(r) for c, r in zip(one, row, strict=False))]:
            return float(one[header.index(column)])
    raise KeyError(f"docs/benchmarks/{page}.md has no figure {column} of {', '.join(row)}")


def overview(claims: Sequence[Claim] = CLAIMS) -> str:
    """The table of who wins what."""
    lines = ["| task | better | measure | medseg | beside it |", "|---|---|---|---|---|"]
    for claim in claims:
        ours, other = claim.figures()
        better = "medseg" if claim.we_win else claim.name
        task = f"{claim.task} ({claim.note})" if claim.note else claim.task
        cells = (
            f"[{task}]({claim.page}.md)",
            f"{better}: {claim.by}",
            claim.measure,
            f"{ours:g}",
            f"{claim.name} {other:g}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def home() -> str:
    """A few of them as sentences, for the home page."""
    lines = []
    for claim in (CLAIMS[number] for number in SHOWN):
        ours, other = claim.figures()
        measure = WORDS.get(claim.measure, claim.measure)
        unit = f" {claim.measure}" if claim.measure in WORDS else ""
        note = f" ({claim.note})" if claim.note else ""
        lines.append(
            f"- {claim.task}{note}: {claim.by} {measure} than {claim.name} "
            f"({ours:g} against {other:g}{unit}; [how](benchmarks/{claim.page}.md))"
        )
    return "\n".join(lines)


WORDS = {"CPU-s": "CPU time", "wall s": "time", "GB": "memory", "MiB": "memory"}

if __name__ == "__main__":
    print(overview(), home(), sep="\n\n")
