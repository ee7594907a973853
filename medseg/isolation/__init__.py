"""Keeps what one input does, whatever it is, to its own case: boundaries for exceptions, processes for crashes."""
