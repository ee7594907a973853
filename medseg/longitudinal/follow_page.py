"""The page of two time points: what became of each object, in figures and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from medseg.draw.page import png_url, render, small_url
from medseg.draw.time_points import color_of
from medseg.longitudinal.figures import changes_not_shown, word_of
from medseg.types.follow_up import FollowUp, Interval, ObjectChange, SizeChange


def follow_page(follow_up: FollowUp, overview: Image.Image, drawn: Sequence[tuple[ObjectChange, Image.Image]]) -> str:
    """Return one HTML file with no outside reference."""
    before, after = follow_up.cases
    return render(
        "follow.html",
        title=f"{before} and {after}: what changed",
        before=before,
        after=after,
        when=when(follow_up),
        warnings=follow_up.warnings,
        notes=follow_up.notes,
        counts=[(word, count, _css(word)) for word, count in follow_up.counts.items()],
        alignment=follow_up.alignment.sentence,
        repeatability=follow_up.repeatability,
        classes=[
            {"name": one.class_name, **_figures(one.size), "objects": _counts(one.objects)} for one in follow_up.classes
        ],
        asymmetries=[
            f"{one.left} and {one.right}: asymmetry {_percent(one.before)} before, {_percent(one.after)} after (left "
            "minus right, of their mean)."
            for one in follow_up.asymmetries
        ],
        response=follow_up.response.sentence,
        overview=png_url(overview),
        cards=[_card(one, image) for one, image in drawn],
        more=changes_not_shown(follow_up, drawn),
        objects=[_row(one) for one in follow_up.objects],
    )


def when(follow_up: FollowUp) -> str:
    """How long lies between the two, in a sentence."""
    if follow_up.days is None:
        return "The dates of the two scans are not known."
    return f"{abs(follow_up.days)} day{'' if abs(follow_up.days) == 1 else 's'} lie between the two scans."


def _card(one: ObjectChange, image: Image.Image) -> dict[str, Any]:
    text = f"{_volume(one.size.before_ml, one.size.before_interval_ml)} ml before"
    text += f", {_volume(one.size.after_ml, one.size.after_interval_ml)} ml after"
    if one.before and one.after:
        low, high = one.size.difference_interval_ml
        text += f" ({one.size.difference_ml:+.3g} ml, {low:+.3g} to {high:+.3g}; {_percent(one.size.percent)})"
    text += f". Longest diameters: {_axes(one, after=False)} mm before, {_axes(one, after=True)} mm after."
    return _row(one) | {"image": small_url(image) or png_url(image), "text": text}


def _row(one: ObjectChange) -> dict[str, Any]:
    return {
        "number": one.number,
        "name": one.class_name,
        "title": one.title,
        "color": _css(word_of(one)),
        **_figures(one.size),
        "axes_before": _axes(one, after=False),
        "axes_after": _axes(one, after=True),
    }


def _figures(size: SizeChange) -> dict[str, str]:
    low, high = size.difference_interval_ml
    return {
        "before": _volume(size.before_ml, size.before_interval_ml),
        "after": _volume(size.after_ml, size.after_interval_ml),
        "difference": f"{size.difference_ml:+.3g} ({low:+.3g} to {high:+.3g})",
        "percent": _percent(size.percent),
        "verdict": size.verdict,
    }


def _volume(ml: float, interval: Interval) -> str:
    return f"{ml:.3g} ({interval[0]:.3g} to {interval[1]:.3g})" if ml else "0"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:+.0f}%"


def _axes(one: ObjectChange, *, after: bool) -> str:
    parts = one.after if after else one.before
    return f"{one.long_mm(after=after):.1f} × {one.short_mm(after=after):.1f}" if parts else "–"


def _counts(objects: tuple[int, int] | None) -> str:
    return "" if objects is None else f"{objects[0]} → {objects[1]}"


def _css(word: str) -> str:
    return "rgb({}, {}, {})".format(*color_of(word))
