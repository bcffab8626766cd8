"""The one thing all of worldagen's own errors share."""


class WorldagenError(Exception):
    """Its message says what was given, what was expected, what to do; the command line shows no traceback."""
