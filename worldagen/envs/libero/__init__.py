"""LIBERO behind the Env protocol."""
