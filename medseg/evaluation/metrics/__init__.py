"""The measures themselves: arrays in, figures out."""
