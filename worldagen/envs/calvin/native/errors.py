"""What goes wrong in the native engine."""

from worldagen.errors import WorldagenError


class NativeError(WorldagenError, RuntimeError):
    """The play table cannot be built or used. The message says what was given, what was expected, what to do."""


class DisconnectedError(RuntimeError):
    """The physics client is gone: closed, or lost by PyBullet. A new engine is all it takes, so the pool tries again,
    as it does not after a WorldagenError, which somebody has to mend."""
