"""Files as such: atomic writes, walking, compression, limits, locks, case ids."""
