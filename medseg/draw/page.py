"""Fills the pages: one base template for all, each page one file that fetches nothing."""

from __future__ import annotations

import base64
import io

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image


def render(template: str, **values: object) -> str:
    """Fill a template of this package; everything is escaped, and a value that is missing is an error."""
    environment = Environment(
        loader=PackageLoader("medseg.draw"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def png_url(image: Image.Image | bytes) -> str:
    """Return an image, or the bytes of a PNG file, as an address that holds the whole of it."""
    if isinstance(image, bytes):
        return "data:image/png;base64," + base64.b64encode(image).decode("ascii")
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=4)
    return png_url(stream.getvalue())
