"""Work over the machines of a cluster: the connection to it, and who has which part of the work."""
