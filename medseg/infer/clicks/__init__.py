"""Networks that take clicks: what they are shown, one patch at a time, and clicks as a reader would place them."""
