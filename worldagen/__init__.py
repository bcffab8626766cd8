"""worldagen: test-time training experiments for robot policies with a world-model head, on Ray."""

import gymnasium

__version__ = "0.1.0"

GYMNASIUM_ENVS = {
    "worldagen/LiberoSpatial-v0": "libero_spatial",
    "worldagen/LiberoObject-v0": "libero_object",
    "worldagen/LiberoGoal-v0": "libero_goal",
    "worldagen/Libero10-v0": "libero_10",
    "worldagen/Libero90-v0": "libero_90",
    "worldagen/CalvinA-v0": "calvin_a",
    "worldagen/CalvinB-v0": "calvin_b",
    "worldagen/CalvinC-v0": "calvin_c",
    "worldagen/CalvinD-v0": "calvin_d",
}
"""Suites by the names under which Gymnasium makes them. Gymnasium knows them once this package is imported."""

for _name, _suite in GYMNASIUM_ENVS.items():
    gymnasium.register(_name, entry_point="worldagen.envs.gymnasium_env:GymnasiumEnv", kwargs={"suite": _suite})
