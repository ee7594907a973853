"""Every stage a pipeline may name, thin over the packages that do the work."""
