"""Networks, and trained models on disk."""
