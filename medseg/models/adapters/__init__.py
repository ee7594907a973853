"""Other people's trained models, read without running their code."""
