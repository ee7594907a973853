"""Values for a run: schema, YAML and `--set`."""
