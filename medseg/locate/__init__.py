"""Finds where a model's region lies in a larger scan, so that a model made for crops can be given a whole head."""
