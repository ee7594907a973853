"""From class labels to objects."""
