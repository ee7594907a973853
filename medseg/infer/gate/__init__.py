"""The gate: a scan that is not what a model is for gets no labels; see docs/explanation/gate.md."""
