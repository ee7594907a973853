"""What can be wrong with a dataset: each kind of finding, whether it blocks training, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    - `blocks`: whether a case with it is kept out of training.
    """

    title: str
    blocks: bool
    fix: str


KINDS: dict[str, Kind] = {
    "missing-file": Kind("missing file", True, "Put the file there, or take the case off the list."),
    "unreadable": Kind("file that cannot be used", True, "Follow the message, or copy the file again."),
    "channel-grid": Kind("channels on different grids", True, "Resample them, or set resample_channels in the table."),
    "channel-coverage": Kind(
        "channel that covers only part of the first", False, "Check that both are of one place of one patient."
    ),
    "reference-grid": Kind("reference on another grid", True, "Pair image and label of the same case."),
    "unknown-class": Kind("value no class has", True, "Name the value among the classes, or correct the labels."),
    "no-label-map": Kind(
        "label that is no label map", True, "Save masks without loss or smoothing, one whole number a class."
    ),
    "ambiguous-values": Kind(
        "values that may mean two things", True, "State under 'dataset': values: {255: 1}, ignore: 255, or labels."
    ),
    "numbered-objects": Kind(
        "values that seem to number objects",
        True,
        "State under 'dataset': references: instances, or, where they are classes, name them under 'labels'.",
    ),
    "shifted-intensity": Kind(
        "CT with another zero", True, "Export it again with its rescale intercept, or subtract the difference."
    ),
    "not-hounsfield": Kind("CT without air", False, "Check that intensities are Hounsfield units."),
    "windowed-intensity": Kind(
        "CT cut off at a window",
        False,
        "Give scans as they were before; a model of windowed scans needs windowed ones at prediction too.",
    ),
    "image-is-labels": Kind("image that is a label map", True, "Put the image in its place."),
    "same-reference": Kind("label of another image", True, "Find out which image the label belongs to."),
    "shared-reference": Kind("one label for several images of a patient", False, "Check that all show the same place."),
    "constant-channel": Kind("channel without an image", False, "Put the image there, or leave it empty on purpose."),
    "mixed-dimensions": Kind("2D images among volumes", False, "Train on one kind: a network is for one of them."),
    "constant": Kind("constant image", True, "Put the image in its place."),
    "patient-leakage": Kind("patient on both sides of the split", True, "Put all cases of a group on one side."),
    "patient-leakage-by-name": Kind(
        "perhaps a patient on both sides of the split", False, "Put them on one side, or set split.group."
    ),
    "one-patient": Kind("names of one patient", False, "Set split.group, or group cases in a table."),
    "duplicate-leakage": Kind("duplicate on both sides of the split", True, "Give duplicates one group."),
    "reference-order": Kind("label stored in another order", False, "Nothing: voxels were matched by their places."),
    "reference-drift": Kind("grids that differ by a fraction of a voxel", False, "Nothing, if both are of one scan."),
    "time-as-slices": Kind("time points read as slices", False, "Nothing, if the pages are slices of one volume."),
    "overlapping-masks": Kind("masks of classes that overlap", False, "Look whether the smaller class is meant there."),
    "duplicate": Kind("duplicate image", False, "Take one of them out, or give them one group."),
    "missing-reference": Kind("image without label", False, "Label it, or leave it: it is not trained on."),
    "unreferenced-file": Kind("file of no case", False, "List it, or take it away."),
    "empty-reference": Kind("empty label", False, "Check that there is nothing to label."),
    "missing-class": Kind("class that no label holds", False, "Label it, or take the class out."),
    "untrained-class": Kind("class of no training case", False, "Put a case that has it into training."),
    "kept-in-training": Kind("case kept in training for a rare class", False, "Label the class in more cases."),
    "partial-labels": Kind("classes annotated in part", False, "Check that it is so, or change 'annotated'."),
    "separate-classes": Kind(
        "classes that no label holds together",
        False,
        "If each case annotates some of the classes only, state which under 'annotated'; otherwise leave it.",
    ),
    "rare-class": Kind("class missing from few labels", False, "Check that it is not there."),
    "clipped": Kind("clipped intensities", False, "Export the image without windowing."),
    "unusual-spacing": Kind("unusual spacing", False, "Check that it belongs to this dataset."),
    "unusual-size": Kind("unusual field of view", False, "Check that it belongs to this dataset."),
    "unusual-intensity": Kind("unusual intensities", False, "Check units, sequence and rescaling."),
    "unusual-volume": Kind("unusual volume of a class", False, "Look whether its values mean what they do elsewhere."),
    "inverted-label": Kind("label that may be inverted", False, "Save masks with 0 for the background."),
    "unusual-contrast": Kind("label that does not follow the image", False, "Look whether label and image are a pair."),
}


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    - `case_id`: the case it is about; None for the dataset as a whole or a file of no case.
    """

    kind: str
    message: str
    case_id: str | None = None
    others: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether its case is kept out of training."""
        return KINDS[self.kind].blocks
