"""From a scan to what the network is given, each step knowing its own inverse."""
