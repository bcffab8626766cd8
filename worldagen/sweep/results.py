"""Moved: import from `worldagen.results` (tracking/ must not import sweep/). This file goes away."""

from worldagen.results import *  # noqa: F403
