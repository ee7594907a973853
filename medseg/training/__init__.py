"""From a dataset to a model package."""
