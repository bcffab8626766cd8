"""A simulator that hangs ends its process, even inside native code that never lets go of the interpreter.

The pool gives one to every simulator process. Whoever runs an Env or a Gymnasium environment in a process of their own
decides for themselves whether it may be ended:

    watchdog = Watchdog(seconds=60)
    while training:
        watchdog.moved(env)      # from here on it has a minute until the next `moved` or `rests`
        env.step(action)
        watchdog.rests(env)
"""

import faulthandler
import sys
import threading
import time
from collections.abc import Hashable


class Watchdog:
    """Ends this process with exit code 1, and every thread's traceback on stderr, when one of those it watches has not
    moved for `seconds` (at the earliest after nine tenths of them). One a process: it uses faulthandler's only timer,
    whose thread needs no interpreter lock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._moved: dict[Hashable, float] = {}
        self._end = 0.0
        """When the timer is set to end the process; 0 while it is not set."""
        self._lock = threading.Lock()

    def moved(self, who: Hashable) -> None:
        """`who` works from now on, or still does."""
        with self._lock:
            self._moved[who] = time.monotonic()
            self._set_timer()

    def rests(self, who: Hashable) -> None:
        """Nobody waits for `who` now."""
        with self._lock:
            self._moved.pop(who, None)
            self._set_timer()

    def _set_timer(self) -> None:
        if not self._moved:
            faulthandler.cancel_dump_traceback_later()
            self._end = 0.0
            return
        end = min(self._moved.values()) + self.seconds
        if not self._end or end - self._end > self.seconds / 10:  # setting it takes as long as a physics step
            left = max(end - time.monotonic(), 0.001)
            faulthandler.dump_traceback_later(left, exit=True, file=sys.__stderr__ or sys.stderr)
            self._end = end
