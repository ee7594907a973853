"""What the locator finds in a head, check by check, and the tables of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np
from markdown import table
from scipy import ndimage
from scipy.stats import binomtest

from medseg.infer.gate.scan import refuse_before_network
from medseg.locate.assemble import ROUNDING
from medseg.locate.plausibility import asymmetry_mm, implausible_placement, implausible_regions
from medseg.locate.region import Region
from medseg.locate.regions import segment_regions
from medseg.locate.registration import Placement, register
from medseg.locate.sampling import Image
from medseg.locate.template import load_template
from medseg.locate.tissues import Tissues
from medseg.types import Geometry

SIDES = {1: "left", 2: "right"}
# Checks of which larger values are better, and of which smaller ones are.
MORE = {
    "correlation": "least correlation",
    "white": "least of white matter over gray",
    "inside": "least of the brain inside",
    "agreement": "least agreement",
    "least_agreement": "least of two crops",
    "component_fraction": "least in one component",
}
LESS = {"spread_mm": "furthest starts, mm", "touches": "most at a crop's edge", "moved_mm": "furthest moved, mm",
        "ratio": "largest ratio", "asymmetry_mm": "furthest from mirrored, mm"}  # fmt: skip
BOTH = {
    "gray": "gray matter between CSF and white",
    "fluid": "labels as dark as fluid",
    "scales": "scales",
    "volumes": "volumes, ml",
}
# A changed head whose labels are less like those of the same head unchanged is done wrongly.
WRONG = 0.75


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a scan, and in how many CPU seconds."""

    image: Image
    placement: Placement
    regions: list
    seconds: float

    @property
    def row(self):
        """What the checks look at, for a file."""
        place = {name: np.asarray(value).tolist() for name, value in vars(self.placement).items() if name != "tissues"}
        place["tissues"] = asdict(self.placement.tissues)
        return {
            "placement": place,
            "regions": [_region_row(region) for region in self.regions],
            "seconds": self.seconds,
        }

    def dice(self, unchanged, motion):
        """Dice of each side with what was found in the head before it was changed, carried by the motion."""
        values = []
        for ours, theirs in zip(self.regions, unchanged.regions, strict=True):
            if ours is None or theirs is None:
                return None
            grid = unchanged.image.geometry
            known = Image((theirs.labels > 0).astype(np.float32), Geometry(motion @ grid.affine, grid.shape))
            there, here = known.on(self.image.geometry, outside=0.0) > 0.5, ours.labels > 0
            values.append(float(2 * (here & there).sum() / max(int(here.sum() + there.sum()), 1)))
        return values

    def dice_with(self, reference):
        """Dice of each side with hippocampi drawn by others, 1 left and 2 right, on the same grid."""
        values = []
        for value, region in enumerate(self.regions, 1):
            here, there = (region is not None) and region.labels > 0, reference.array[0] == value
            values.append(float(2 * (here & there).sum() / max(int(np.sum(here) + there.sum()), 1)))
        return values


class Locator:
    """The parts of the shipped model's locator, one after the other, so that none stops the next."""

    def __init__(self, model):
        self.package, self.predictor = model.predictor.package, model.predictor
        self.card = self.package.card.locate
        self.template = load_template(self.package.folder, self.card)

    def stops_early(self, scan):
        """Why a scan is withheld before it is registered."""
        refused = refuse_before_network(scan, self.package.card)
        widest = max(scan.geometry.spacing)
        thick = f"the voxels lie {widest:.3g} mm apart" if widest > self.card.up_to_mm * ROUNDING else ""
        return refused.reason if refused else thick

    def found(self, scan):
        """What is found in a scan whose axes lie nearest to RAS."""
        start = time.process_time()
        image = Image(np.nan_to_num(scan.array[0], posinf=0, neginf=0), scan.geometry)
        centers = np.array([region.center_mm for region in self.card.regions])
        placement = register(self.template, image, centers)
        regions = segment_regions(self.predictor.segment, image, placement, self.card)
        return Found(image, placement, regions, time.process_time() - start)

    def brain(self, scan, found):
        """The template's brain where it lies in the scan."""
        grid = self.template.image.geometry
        brain = ndimage.binary_dilation(self.template.brain).astype(np.float32)
        there = Image(brain, Geometry(found.placement.matrix @ grid.affine, grid.shape))
        return there.on(scan.geometry, outside=0.0) > 0.5


def _region_row(region):
    names = ("agreement", "least_agreement", "component_fraction", "fluid", "touches", "moved_mm")
    if region is None:
        return None
    figures = {name: getattr(region, name) for name in names}
    return figures | {"volumes_ml": list(region.volumes_ml.values()), "centroid": region.centroid.tolist()}


def judged(row, card):
    """A row with the value of every check, the worse of two sides, and why the card's limits withhold the scan."""
    place = {name: np.array(value) if name == "matrix" else value for name, value in row["placement"].items()}
    placement = Placement(**(place | {"tissues": Tissues(**place["tissues"])}))
    regions = [
        None
        if one is None
        else Region(
            **{**one, "card": own, "labels": np.zeros(0), "prediction": None, "centroid": np.array(one["centroid"]),
               "volumes_ml": dict(enumerate(one["volumes_ml"]))}
        )
        for own, one in zip(card.regions, row["regions"], strict=True)
    ]  # fmt: skip
    found = implausible_placement(placement, card.placement), implausible_regions(regions, placement, card)
    place, what = ("; ".join(why) for why in found)
    why = {"why_place": place, "why_found": what, "why": row.get("early") or "; ".join(t for t in (place, what) if t)}
    return {**row, **_values(placement, regions), **why}


def _values(placement, regions):
    values = {
        name: getattr(placement, name) for name in ("correlation", "gray", "white", "spread_mm", "inside", "scales")
    }
    if any(region is None for region in regions):
        return values | {"agreement": 0.0}
    volumes = [region.volume_ml for region in regions]
    return values | {
        "agreement": min(region.agreement for region in regions),
        "least_agreement": min(region.least_agreement for region in regions),
        "component_fraction": min(region.component_fraction for region in regions),
        "fluid": [region.fluid for region in regions],
        "touches": max(region.touches for region in regions),
        "moved_mm": max(region.moved_mm for region in regions),
        "volumes": volumes,
        "ratio": max(volumes) / min(volumes),
        "asymmetry_mm": asymmetry_mm(*regions, placement),
    }


def dice_by_side(labels, reference):
    """Dice of each side, all of its classes as one; on one grid."""
    values = {c.value: c.name.split()[0] for c in labels.table}
    found = {}
    for value, side in SIDES.items():
        ours = np.isin(labels.array, [v for v, name in values.items() if name == side])
        theirs = reference.array == value
        found[side] = float(2 * (ours & theirs).sum() / max(ours.sum() + theirs.sum(), 1))
    return found


def heads_table(rows):
    """Every head and what was made of it."""
    columns = ["state", "volume left / right, ml", "Dice left / right", "other axis orders", "CPU-s", "why withheld"]
    return table(columns, {name: _head(row) for name, row in rows.items()})


def _head(row):
    if row["why"]:
        return ["withheld", "", "", "", f"{row['seconds']:.1f}", row["why"]]
    return [
        "done",
        " / ".join(f"{v:.2f}" for v in row["volumes"].values()),
        " / ".join(f"{v:.3f}" for v in row["dice"].values()) if row["dice"] else "",
        {True: "same", False: "**differ**"}.get(row.get("same"), ""),
        f"{row['seconds']:.1f}",
        "",
    ]


def is_wrong(row):
    """Whether a changed head was done, and not as it was done unchanged."""
    return not row["why"] and "change" in row and bool(row.get("dice")) and min(row["dice"]) < WRONG


def kinds_table(rows):
    """The worst value of every check by kind of change."""
    kinds = {}
    for row in rows:
        kinds.setdefault(row["change"], []).append(row)
    columns = ["heads", "done", "wrong", *MORE.values(), *LESS.values(), *BOTH.values(), "least Dice with unchanged"]
    return table(columns, {kind: _kind(own) for kind, own in (kinds | {"all": rows}).items()})


def _kind(rows):
    def of(key, worst, form):
        values = [v for row in rows for v in np.atleast_1d(row.get(key, []))]
        return form(worst(values)) if values else ""

    return [
        len(rows),
        sum(not row["why"] for row in rows),
        sum(map(is_wrong, rows)),
        *(of(key, min, lambda v: f"{v:.2f}") for key in MORE),
        *(of(key, max, lambda v: f"{v:.1f}") for key in LESS),
        *(of(key, lambda v: f"{min(v):.2f} to {max(v):.2f}", str) for key in BOTH),
        of("dice", min, lambda v: f"{v:.2f}"),
    ]


def why_text(rows):
    """Every head that was withheld or done wrongly, with its reason."""
    names = [f"{row['head']}, {row['change']}" if "head" in row else row["name"] for row in rows]
    lines = [f"- {name}: {row['why']}" for name, row in zip(names, rows, strict=True) if row["why"]]
    lines += [
        f"- {name}: **done**, Dice {min(row['dice']):.2f}"
        for name, row in zip(names, rows, strict=True)
        if is_wrong(row)
    ]
    return "Withheld, or wrong:\n\n" + "\n".join(lines) if lines else "None was withheld, and none was wrong."


def others_table(rows):
    """Kinds of other scans: why they are withheld, and what would come of all checks if the first did not stop."""
    kinds = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(row)
    columns = ["number", "done", "why withheld (how often)", "looked at in full", "highest correlation",
               "highest agreement", "pass all checks of the place", "pass all checks of what was found"]  # fmt: skip
    return table(columns, {kind: _other(own) for kind, own in kinds.items()})


def _other(rows):
    why = Counter(row["why"].split("; ")[0].split(" (")[0] for row in rows if row["why"])
    full = [row for row in rows if "placement" in row]
    return [
        len(rows),
        sum(not row["why"] for row in rows),
        "; ".join(f"{text} ({n})" for text, n in why.items()),
        len(full),
        f"{max(row['correlation'] for row in full):.2f}" if full else "",
        f"{max(row['agreement'] for row in full):.2f}" if full else "",
        sum(not row["why_place"] for row in full),
        sum(not row["why_found"] for row in full),
    ]


def rate(rows):
    """How many were done, with the exact interval of that rate."""
    done = sum(not row["why"] for row in rows)
    low, high = binomtest(done, len(rows)).proportion_ci(method="exact")
    return f"{done} of {len(rows)} ({done / len(rows):.0%}, 95% interval {low:.1%} to {high:.1%})"


def sources_of_t1(rows):
    """T1 heads by where they are from."""
    columns = ["heads", "done", "least correlation", "gray matter", "least of white matter over gray",
               "least agreement", "volumes, ml", "Dice, mean", "Dice, least", "most CPU-s"]  # fmt: skip
    return table(columns, {source: _of_t1(own) for source, own in _by(rows, "source").items()})


def _of_t1(rows):
    done = [row for row in rows if not row["why"]]
    volumes, dice = ([v for row in done for v in row.get(key) or []] for key in ("volumes", "dice"))
    return [
        len(rows),
        len(done),
        f"{min(row['correlation'] for row in rows):.2f}",
        f"{min(row['gray'] for row in rows):.2f} to {max(row['gray'] for row in rows):.2f}",
        f"{min(row['white'] for row in rows):.2f}",
        f"{min(row['agreement'] for row in rows):.2f}",
        f"{min(volumes):.2f} to {max(volumes):.2f}" if volumes else "",
        f"{np.mean(dice):.2f}" if dice else "",
        f"{min(dice):.2f}" if dice else "",
        f"{max(row['seconds'] for row in rows):.1f}",
    ]


def sources_of_others(rows):
    """Other images, one a row: what withholds each, and whether nothing else would."""
    columns = ["source", "state", "correlation", "gray matter", "white matter over gray", "agreement",
               "checks that withhold it: of the place", "of what was found"]  # fmt: skip
    return table(columns, {row["name"]: _of_other(row) for row in rows})


def _of_other(row):
    return [
        row["source"],
        "withheld" if row["why"] else "**done**",
        f"{row['correlation']:.2f}",
        f"{row['gray']:.2f}",
        f"{row['white']:.2f}",
        f"{row['agreement']:.2f}",
        *(
            ", ".join(dict.fromkeys(_check(text) for text in row[key].split("; ") if text))
            for key in ("why_place", "why_found")
        ),
    ]


# The check that a reason is of, by words of the reason.
CHECKS = {
    "follow the template": "correlation", "gray matter is not": "gray", "white matter is not": "white",
    "several starts": "starts", "inside the scan": "inside", "head's size": "scales",
    "nothing was found": "nothing found",
    "with their brightness": "agreement", "two moved crops": "two crops", "dark as fluid": "fluid",
    "edge of the crop": "edge", "one component": "component", "does not settle": "settling", "ml, where": "volume",
    "mm apart, where": "distance",
    "mirror image": "mirrored", "times the other": "ratio",
}  # fmt: skip


def _check(text):
    return next(name for words, name in CHECKS.items() if words in text)


def _by(rows, key):
    found = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def limits_text(card):
    """The limits on the card."""
    place, found = card.placement, card.region_checks
    return (
        f"Limits: correlation {place.correlation:g}, gray matter {place.gray[0]:g} to {place.gray[1]:g} of the way "
        f"from CSF to white matter, white matter {place.white[0]:g} to {place.white[1]:g} standard deviations "
        f"above gray, starts "
        f"{place.spread_mm:g} mm apart, {place.inside:.0%} of the brain inside, scales {place.scale[0]:g} to "
        f"{place.scale[1]:g}; agreement {found.agreement:g} (of two moved "
        f"crops {found.least_agreement:g}), {found.component_fraction:.0%} in one component, "
        f"{found.fluid:.0%} as dark as fluid, moved "
        f"{found.moved_mm:g} mm, {found.volume_ml[0]:g} to {found.volume_ml[1]:g} ml, ratio {found.ratio:g}, "
        f"{found.asymmetry_mm:g} mm from mirrored."
    )
