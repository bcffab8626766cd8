import io

from worldagen.tracking import progress as module
from worldagen.tracking.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_items_pass_through_unchanged() -> None:
    assert list(progress(range(5), 5, "episodes", "ep", stream=io.StringIO())) == [0, 1, 2, 3, 4]


def test_log_gets_first_and_last_line_only_when_quick() -> None:
    log = io.StringIO()
    list(progress((n for n in range(1000)), 1000, "explore", "episodes", stream=log))
    lines = log.getvalue().splitlines()
    assert len(lines) == 2
    assert "\r" not in log.getvalue()
    assert lines[0].startswith("explore: 0/1000 episodes (0 %)")
    assert lines[1].startswith("explore: 1000/1000 episodes (100 %)")
    assert "episodes/s" in lines[1]


def test_log_gets_lines_in_between_when_slow(monkeypatch) -> None:
    monkeypatch.setattr(module, "LOG_INTERVAL", 0.0)
    log = io.StringIO()
    list(progress(range(3), None, "pretrain", "steps", stream=log))
    counts = [line.split()[1] for line in log.getvalue().splitlines()]
    assert counts[0] == "0/3" and counts[-1] == "3/3" and "1/3" in counts and "2/3" in counts


def test_unknown_total_still_counts() -> None:
    log = io.StringIO()
    list(progress(iter("abc"), None, "read", "files", stream=log))
    assert log.getvalue().splitlines()[-1].startswith("read: 3 files")


def test_terminal_gets_a_redrawn_bar() -> None:
    terminal = Terminal()
    list(progress(range(3), 3, "evaluate", "episodes", stream=terminal))
    assert "\r" in terminal.getvalue() and "3/3" in terminal.getvalue() and "|" in terminal.getvalue()


def test_an_interrupted_loop_leaves_its_count() -> None:
    log = io.StringIO()
    loop = progress(range(10), 10, "evaluate", "episodes", stream=log)
    next(loop), next(loop)
    loop.close()
    assert log.getvalue().splitlines()[-1].startswith("evaluate: 1/10")
