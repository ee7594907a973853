"""The demonstration: real scans that come with a package, laid out as a hospital's folder, segmented for real."""
