"""Runs pipelines of stages over many cases, and remembers what is done."""
