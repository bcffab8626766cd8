"""What moves and lights up on the table: drawer and slider, the button with its LED, the switch with its bulb."""

from typing import Any

_MOTOR_FORCE = 4
"""Newton: what holds a joint where it is (or the button up) against gravity and light touches."""
_OFF_COLOR = (1, 1, 1, 1)


class Joint:
    """A joint of the table, by name."""

    def __init__(self, client: Any, body: int, name: str) -> None:
        self._client, self._body = client, body
        infos = [client.getJointInfo(body, index) for index in range(client.getNumJoints(body))]
        self.index, self.lower, self.upper = next(
            (info[0], info[8], info[9]) for info in infos if info[1].decode() == name
        )

    @property
    def position(self) -> float:
        return float(self._client.getJointState(self._body, self.index)[0])

    def reset(self, position: float) -> None:
        self._client.resetJointState(self._body, self.index, position)

    def brake(self) -> None:
        """Resist motion, like friction."""
        self._client.setJointMotorControl2(self._body, self.index, self._client.VELOCITY_CONTROL, force=_MOTOR_FORCE)

    def spring(self, position: float) -> None:
        """Return to `position` when let go."""
        self._client.setJointMotorControl2(
            self._body, self.index, self._client.POSITION_CONTROL, targetPosition=position, force=_MOTOR_FORCE
        )

    @property
    def pressed(self) -> bool:
        """Whether it is past the middle of its travel."""
        return self.position > (self.lower + self.upper) / 2


class Light:
    """A link of the table whose colour says whether it is on."""

    def __init__(self, client: Any, body: int, link: int, color: tuple[float, ...]) -> None:
        self._client, self._body, self._link, self._color = client, body, link, color
        self.on = False

    def set(self, on: bool) -> None:
        self.on = on
        self._client.changeVisualShape(self._body, self._link, rgbaColor=self._color if on else _OFF_COLOR)


class Button:
    """Each press turns its light on or off; a spring brings it back."""

    def __init__(self, joint: Joint, light: Light) -> None:
        self.joint, self._light = joint, light
        self.on = False
        self._was_pressed = False
        joint.spring(0)

    def reset(self, position: float) -> None:
        self.joint.reset(position)
        self.on = self._light.on
        self._was_pressed = False

    def step(self) -> None:
        pressed = self.joint.pressed
        if pressed and not self._was_pressed:
            self.on = not self.on
            self._light.set(self.on)
        self._was_pressed = pressed


class Switch:
    """Its light follows the lever, but only when the lever crosses the middle: until then it stays."""

    def __init__(self, joint: Joint, light: Light) -> None:
        self.joint, self._light = joint, light
        self.on = False
        joint.brake()

    def reset(self, position: float) -> None:
        self.joint.reset(position)
        self.on = False

    def step(self) -> None:
        pressed = self.joint.pressed
        if pressed != self.on:
            self._light.set(pressed)
        self.on = pressed
