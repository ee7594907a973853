"""What people look at: previews, reports, worklists."""
