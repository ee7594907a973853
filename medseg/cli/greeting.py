"""What `medseg` without a verb says: three commands to try."""

from __future__ import annotations

GREETING = """\
medseg: from a folder of scans to reviewed, measured, exported masks.

Three commands to try:

  medseg demo --out demo    Segment a few small scans, in about a minute.
  medseg review demo        Look at the results in a browser; correct, accept or reject them.
  medseg inspect SCANS      Say what is in a folder of your own.

`medseg --help` lists all verbs, `medseg VERB --help` the options of one, with an example.
Research use only; not a medical device.
"""
