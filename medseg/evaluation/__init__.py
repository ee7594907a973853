"""How good labels are, in figures people can cite."""
