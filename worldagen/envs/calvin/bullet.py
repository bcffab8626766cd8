"""What both engines ask of PyBullet."""

from typing import Any

import numpy as np


def state_bytes(client: Any) -> bytes:
    """Poses, velocities and joint states of every body of a physics server, as bytes."""
    values: list[float] = []
    for body in map(client.getBodyUniqueId, range(client.getNumBodies())):
        for part in (*client.getBasePositionAndOrientation(body), *client.getBaseVelocity(body)):
            values.extend(part)
        for joint in range(client.getNumJoints(body)):
            values.extend(client.getJointState(body, joint)[:2])
    return np.array(values).tobytes()
