"""Everything that draws: previews, overlays, error maps, charts, and the one base page of all HTML."""
