"""What goes wrong in the native engine, as one error."""

from worldagen.errors import WorldagenError


class NativeError(WorldagenError, RuntimeError):
    """The play table cannot be built or used. The message says what was given, what was expected, what to do."""
