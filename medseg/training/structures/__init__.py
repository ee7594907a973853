"""Losses that look at structures and not at single voxels: centerlines, small objects, boundaries."""
