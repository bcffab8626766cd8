"""CALVIN behind the Env protocol."""
