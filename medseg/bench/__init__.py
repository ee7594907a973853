"""Comparisons on one machine, in one run: networks trained for the same time, measured on the same cases."""
