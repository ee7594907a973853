"""Runs several models as one: a composite package, part by part."""
