"""The page's server: worklist, scans and labels for the browser, and what a reader decides, on this machine alone."""
