"""Fills the pages: one base template for all, each page one file that fetches nothing."""

from __future__ import annotations

import base64
import io
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from medseg.draw.page_parts import with_parts
from medseg.harmless import printable


def render(template: str, **values: object) -> str:
    """Fill a template of this package, and add the contents and the script of all pages."""
    return with_parts(fill(template, **values))


def fill(template: str, **values: object) -> str:
    """Fill a template of this package; everything is escaped, and a value that is missing is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """Hold the templates, each compiled once."""
    return Environment(
        loader=PackageLoader("medseg.draw"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=harmless,
    )


# Pixels across, and bytes, of an image that is one of hundreds on a page; then how much of it may be lost for that.
SMALL_WIDTH, SMALL_BYTES, SMALL_QUALITIES = 720, 12_000, (70, 50, 30, 10)


def small_url(image: Image.Image) -> str | None:
    """Return an image as an address that holds the whole of it in at most `SMALL_BYTES`; None where that is too few."""
    width = min(image.width, SMALL_WIDTH)
    small = image.convert("RGB").resize((width, max(1, image.height * width // image.width)), Image.Resampling.LANCZOS)
    for quality in SMALL_QUALITIES:
        stream = io.BytesIO()
        small.save(stream, "WEBP", quality=quality, method=4)
        if len(stream.getvalue()) <= SMALL_BYTES:
            return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    return None


def harmless(value: object) -> object:
    """Text of files without characters that a viewer of the page's source would obey; what is markup is ours."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def png_url(image: Image.Image | bytes) -> str:
    """Return an image, or the bytes of a PNG file, as an address that holds the whole of it."""
    if isinstance(image, bytes):
        return "data:image/png;base64," + base64.b64encode(image).decode("ascii")
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=4)
    return png_url(stream.getvalue())
