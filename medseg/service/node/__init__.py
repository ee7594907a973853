"""The node: objects come in over DICOM, whole series are segmented by rule, and results are delivered."""
