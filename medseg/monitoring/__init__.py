"""Watches results over time: whether scanners, volumes and verdicts are still what they were."""
