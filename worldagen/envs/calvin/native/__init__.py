"""CALVIN's play table on plain PyBullet."""
