"""The code layout of docs/architecture.md: imports point downwards; simulator processes need neither torch nor Ray."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FLOORS = [
    {"types", "errors", "atomic", "plain_pickle", "randomness", "__init__"},
    {"config", "arms"},
    {"results"},
    {"envs", "run_folder", "cluster", "cli"},
    {"models", "data"},
    {"tracking"},
    {"rollout"},
    {"evaluation"},
    {"ttt", "training", "report"},
    {"sweep"},
    {"doctor", "study"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(Path("worldagen").rglob("*.py"))


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        yield from (name.split(".")[1] for name in names if name.startswith("worldagen."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.with_suffix("")).replace("/", "."))
def test_imports_point_downwards(path: Path) -> None:
    own = path.with_suffix("").parts[1]
    above = {room for room in imported_rooms(path) if room != own and FLOOR[room] >= FLOOR[own]}
    assert not above, f"{path} is on floor {FLOOR[own]} and imports from {sorted(above)}"


@pytest.mark.parametrize(
    "module",
    [
        "worldagen.envs.libero.env",
        "worldagen.envs.calvin.env",
        "worldagen.envs.calvin.native.engine",
        "worldagen.rollout.episode",
        "worldagen.rollout.policies",
    ],
)
def test_simulator_code_needs_neither_torch_nor_ray(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'ray'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
