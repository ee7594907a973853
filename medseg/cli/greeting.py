"""What `medseg` without a verb says: three commands to try."""

from __future__ import annotations

from importlib.util import find_spec

TEXT = """\
medseg: from a folder of scans to reviewed, measured, exported masks.

Three commands to try:

  medseg demo --out demo    Segment a few small scans, in about a minute.{first}
  medseg review demo        Look at the results in a browser; correct, accept or reject them.
  medseg inspect SCANS      Say what is in a folder of your own.

`medseg --help` lists all verbs, `medseg VERB --help` the options of one, with an example.
Research use only; not a medical device.
"""


def greeting() -> str:
    """Return the text; it says what the demonstration needs where that is not installed."""
    needed = f"\n{'':28}Its scans come with nilearn: pip install nilearn"
    return TEXT.format(first=needed if find_spec("nilearn") is None else "")
