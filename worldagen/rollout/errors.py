"""Errors that no retry can mend. They end the run that met them and reach the caller of `Pool.run`."""

from worldagen.errors import WorldagenError


class RunError(WorldagenError, RuntimeError):
    """The episodes of a run cannot be run as they are asked for."""


class PolicyError(RunError):
    """The policy cannot answer: unknown adapter, another checkpoint, a dead inference server."""


class StorageError(RunError):
    """A recording cannot be written: a full disk, a folder that is not writable."""


class EnvError(RunError):
    """The simulator of a spec cannot be built: unknown suite, missing assets, no OpenGL."""


class BuildError(EnvError):
    """The same, for a reason that may be one node's alone."""
