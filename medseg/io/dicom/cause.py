"""What other packages say of a header they cannot use, without what the header says: that may be the patient's."""

from __future__ import annotations

import re

# From the first quotation mark to the last of its kind, or to the end: `'Doe^Jane' is no number`.
QUOTED = re.compile(r"""(['"]).*\1|(['"]).*$""", re.DOTALL)
LONGEST = 120


def cause(error: BaseException) -> str:
    """Return the text of an error in one line, with … for every value it quotes."""
    return QUOTED.sub("…", " ".join(str(error).split()))[:LONGEST]
