"""What is decided on validation cases: cleanup, configuration, limits, worst cases."""
