"""Training of networks that take clicks: corrections simulated from the network's own errors."""
