"""Everything that draws: previews, overlays, charts."""
