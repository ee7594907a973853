"""Everything that touches scan and label files: one file per format, reading and writing side by side."""
