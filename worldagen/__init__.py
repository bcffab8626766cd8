"""worldagen: test-time training experiments for robot policies with a world-model head, on Ray."""

__version__ = "0.1.0"
