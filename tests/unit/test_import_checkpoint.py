"""pipelines/import_checkpoint.py without the hub: what it says when only CLIP is missing."""

from pathlib import Path

import pytest

from pipelines import import_checkpoint


def test_a_checkpoint_without_clip_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise OSError("no network\nand more")

    monkeypatch.setattr("sys.argv", ["import_checkpoint.py", "libero", "out"])
    monkeypatch.setattr(import_checkpoint, "convert", lambda *_: [Path("out")])
    monkeypatch.setattr(import_checkpoint, "load_clip", missing)
    with pytest.raises(SystemExit, match=r"checkpoint is complete, but openai/clip.*\(no network\)"):
        import_checkpoint.main()
    assert "wrote out" in capsys.readouterr().out
    monkeypatch.setattr(import_checkpoint, "load_clip", lambda: None)
    import_checkpoint.main()
