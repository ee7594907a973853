"""Label files to evaluate: which belong together, and what their classes are called."""
