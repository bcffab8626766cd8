"""Every cluster file is one that `ray up` accepts."""

from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

FILES = sorted(Path("cluster").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cluster_file_is_valid(path: Path) -> None:
    validate_config(prepare_config(yaml.safe_load(path.read_text())))


def test_a_typo_is_refused() -> None:
    config = yaml.safe_load(FILES[0].read_text())
    config["max_wrkers"] = config.pop("max_workers")
    with pytest.raises(Exception, match="max_wrkers"):
        validate_config(prepare_config(config))
