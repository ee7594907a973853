"""What other packages say of a header they cannot use, without what the header says: that may be the patient's."""

from __future__ import annotations

import re

from medseg.isolation.boundary import WORDS, in_words

# From the first quotation mark to the last of its kind, or to the end: `'Doe^Jane' is no number`.
QUOTED = re.compile(r"""(['"]).*\1|(['"]).*$""", re.DOTALL)
LONGEST = 120


def cause(error: BaseException) -> str:
    """Return the text of an error in one line, with … for every value it quotes; what kind it is where it has none."""
    text = QUOTED.sub("…", " ".join(str(error).split()))[:LONGEST]
    return text if any(map(str.isalpha, text)) and not isinstance(error, tuple(WORDS)) else in_words(error)
