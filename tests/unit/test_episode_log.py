import json

import pytest

from tests.fakes import spec
from worldagen.rollout import log as log_module
from worldagen.rollout.log import EpisodeLog, LogError
from worldagen.types import EpisodeResult


def result(seed=0):
    return EpisodeResult(spec=spec(seed=seed), status="success", steps=3, seconds={"wait": 0.5})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "episodes.jsonl"


def filled(path, count=3):
    log = EpisodeLog(path)
    for seed in range(count):
        log.append(result(seed))
    log.close()


def test_finds_what_was_logged_after_reopening(path):
    filled(path)
    log = EpisodeLog(path)
    assert log.get(spec(seed=1)) == result(1) and len(log) == 3
    assert log.get(spec(seed=9)) is None


def test_a_torn_last_line_is_dropped_and_the_log_goes_on(path):
    filled(path)
    content = path.read_bytes()
    path.write_bytes(content[:-40])
    log = EpisodeLog(path)
    assert log.get(spec(seed=1)) and log.get(spec(seed=2)) is None
    log.append(result(2))
    log.close()
    assert path.read_bytes() == content


def test_damage_elsewhere_is_an_error_that_names_the_line(path):
    filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{broken\n" + lines[2])
    with pytest.raises(LogError, match="line 2 is damaged"):
        EpisodeLog(path)


def test_two_owners_are_refused(path, monkeypatch):
    monkeypatch.setattr(log_module, "LOCK_PATIENCE", 0.1)
    first = EpisodeLog(path)
    with pytest.raises(LogError, match="in use by another pool"):
        EpisodeLog(path)
    first.close()
    EpisodeLog(path)


def test_a_full_disk_leaves_the_log_as_it_was(path):
    log = EpisodeLog(path)
    log.append(result(0))
    before = path.read_bytes()

    class Full:
        def write(self, line):
            return real.write(line[:10])

        def __getattr__(self, name):
            return getattr(real, name)

    real, log.file = log.file, Full()
    with pytest.raises(OSError, match="disk full"):
        log.append(result(1))
    assert path.read_bytes() == before
    log.file = real
    log.append(result(1))
    assert [json.loads(line)["key"] for line in path.read_bytes().splitlines()] == [spec(seed=s).key for s in (0, 1)]
