"""A study: one sweep for each of several settings, read together."""
