"""`medseg` with a signal to itself at one step of training: ``python -m stopped_training STEP SIGNAL VERB ...``."""

import os
import signal
import sys

import torch

from medseg.cli.app import run
from medseg.training import step

torch.set_num_threads(1)
real, calls = step.segmentation_loss, []


def deadly(*arguments, **options):
    calls.append(1)
    if len(calls) == int(sys.argv[1]):
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    return real(*arguments, **options)


if __name__ == "__main__":
    step.segmentation_loss = deadly
    sys.exit(run(sys.argv[3:]))
