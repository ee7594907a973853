"""Run by TotalSegmentator's own Python: what its own code makes of a scan.

    build/peers/totalsegmentator/bin/python tests/models/totalsegmentator_peer.py HOME SCAN OUT [fast]

HOME/nnunet/results holds the weights; nothing is downloaded, and no statistics of use are sent.
"""

import json
import os
import sys
from pathlib import Path

home, scan, out = (Path(text).resolve() for text in sys.argv[1:4])
os.environ["TOTALSEG_HOME_DIR"] = str(home)
(home / "config.json").write_text(
    json.dumps({"totalseg_id": "peer", "send_usage_stats": False, "prediction_counter": 1})
)

if __name__ == "__main__":  # its processes import this file again
    from totalsegmentator.python_api import totalsegmentator

    # One process each for resampling and saving; every one of them imports all of PyTorch and nnU-Net.
    totalsegmentator(
        scan, out, ml=True, fast="fast" in sys.argv[4:], device="cpu", quiet=True, nr_thr_resamp=1, nr_thr_saving=1
    )
