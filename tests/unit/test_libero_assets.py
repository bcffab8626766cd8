"""Which asset tree is used, and that the generated one appears whole and once."""

import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from worldagen.envs.libero import assets
from worldagen.envs.libero.assets import Assets, AssetsError, resolve_assets


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache, no home, and a hub that refuses connections at once."""
    monkeypatch.setenv("WORLDAGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def official_tree(path: Path) -> Path:
    for folder in assets._FOLDERS:
        (path / folder).mkdir(parents=True)
    return path


def test_official_assets_are_found_in_the_folder_given_and_in_liberos_cache(tmp_path: Path) -> None:
    given = official_tree(tmp_path / "given")
    assert resolve_assets("official", str(given)) == Assets("official", given)
    cached = official_tree(tmp_path / "home" / ".cache" / "libero" / "assets")
    assert resolve_assets("auto") == Assets("official", cached)


def test_auto_announces_the_fallback_quickly_and_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    started = time.monotonic()
    with caplog.at_level(logging.INFO):
        found = resolve_assets("auto")
    assert time.monotonic() - started < 5
    assert found.kind == "primitive" and (found.path / "scenes" / "libero_tabletop_base_style.xml").is_file()
    (message,) = [record.getMessage() for record in caplog.records]
    assert "using generated primitive assets" in message and "not reachable" in message and "\n" not in message


def test_official_names_the_places_searched_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AssetsError) as error:
        resolve_assets("official")
    for part in ("home/.cache/libero/assets", "lerobot/libero-assets", "not reachable", "env.assets_path"):
        assert part in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_offline_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(AssetsError, match="HF_HUB_OFFLINE is set"):
        resolve_assets("official")


def test_a_wrong_folder_is_an_error_even_for_auto(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match="holds no official LIBERO assets; it should contain articulated_objects"):
        resolve_assets("auto", str(tmp_path))


def test_a_primitive_tree_is_never_taken_for_the_official_one() -> None:
    tree = resolve_assets("primitive").path
    for folder in assets._FOLDERS:
        (tree / folder).mkdir(exist_ok=True)
    with pytest.raises(AssetsError, match="holds no official LIBERO assets"):
        resolve_assets("official", str(tree))


def test_unknown_choice() -> None:
    with pytest.raises(ValueError, match="unknown assets 'fancy'; use auto, official or primitive"):
        resolve_assets("fancy")


def test_the_hub_is_used_when_it_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def snapshot(repository: str, *, repo_type: str, local_dir: Path) -> None:
        assert (repository, repo_type) == ("lerobot/libero-assets", "dataset")
        official_tree(local_dir)

    monkeypatch.setattr(assets, "_hub_failure", lambda: "")
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    found = resolve_assets("auto")
    assert found == Assets("official", tmp_path / "home" / ".cache" / "libero" / "assets")


class ClientError(Exception):
    """As the hub's HTTP client and its transfer protocol raise: of no kind that Python knows."""


@pytest.mark.parametrize("error", [ConnectionResetError, ClientError])
def test_a_download_that_fails_is_no_reason_not_to_start(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **settings: object) -> None:
        raise error("reset by peer")

    monkeypatch.setattr(assets, "_hub_failure", lambda: "")
    monkeypatch.setattr("huggingface_hub.snapshot_download", broken)
    assert resolve_assets("auto").kind == "primitive"
    with pytest.raises(AssetsError, match=r"the download failed \(reset by peer\)"):
        resolve_assets("official")


def test_a_hub_that_hangs_up_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs_up(*arguments: object, **settings: object) -> None:
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr("urllib.request.urlopen", hangs_up)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert "reset by peer" in assets._hub_failure()


def test_a_generator_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        (path / "half").write_text("written")
        raise OSError("disk full")

    monkeypatch.setattr("worldagen.envs.libero.assets.write_tree", fail)
    with pytest.raises(OSError, match="disk full"):
        resolve_assets("primitive")
    assert list((tmp_path / "cache").iterdir()) == []


def test_processes_that_start_at_once_share_one_whole_tree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        trees = pool.map(_tree_made_at, [time.time() + 1.0] * 3, chunksize=1)
    assert len(set(trees)) == 1
    assert len(os.listdir(tmp_path / "cache")) == 1


def _tree_made_at(moment: float) -> tuple[Path, frozenset[Path]]:
    time.sleep(max(0.0, moment - time.time()))
    tree = resolve_assets("primitive").path
    return tree, frozenset(tree.rglob("*"))
