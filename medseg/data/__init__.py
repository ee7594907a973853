"""Training datasets: layouts, audit, splits, fingerprint and plan."""
