"""Words for the sequence, the phase or the modality of a scan, as names of files have them."""

from __future__ import annotations

SEQUENCE = (
    r"t1(w|c|ce|gd|n|km)?|t2(w|f|star)?|flair|dwi|adc|pdw?|swi|bold|asl|dce|mra|mri?|cta?|pet|pt|suv|art|arterial|portal"
    r"|venous|pv|delayed|native|nc|ce|ven|nativ|arteriell|venoes"
)
