"""Results over time: two scans of one patient compared."""
