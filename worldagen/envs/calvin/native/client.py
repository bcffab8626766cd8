"""A physics server of one's own."""

from typing import Any

import pybullet
from pybullet_utils.bullet_client import BulletClient


class Client(BulletClient):
    """pybullet's functions, bound to a physics server of their own inside this process.

    BulletClient looks a function up and binds it at every call, which is felt at a hundred calls a step; here each is
    bound once, until the server is left.
    """

    def __init__(self) -> None:
        self._client = -1
        super().__init__(pybullet.DIRECT)

    def __getattr__(self, name: str) -> Any:
        self.__dict__[name] = super().__getattr__(name)
        return self.__dict__[name]

    def disconnect(self) -> None:
        """Leave the server and free what it holds. Calls from now on raise pybullet.error."""
        pybullet.disconnect(self._client)
        self._client = -1
        for name in [name for name in self.__dict__ if not name.startswith("_")]:
            del self.__dict__[name]
