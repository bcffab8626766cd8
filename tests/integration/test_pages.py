"""Reports and studies are written, with their pictures, from results alone."""

import re
from pathlib import Path

import pytest

from pipelines import report, study
from tests.synthetic_results import make_results
from tests.synthetic_study import EFFECTS, setting
from worldagen.arms import ResultsError
from worldagen.config import Config, ConfigError, StudyConfig
from worldagen.results import SweepResults
from worldagen.study.page import write_folder, write_study
from worldagen.study.summary import summarise

pytestmark = pytest.mark.usefixtures("coarse_pictures")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SweepResults]:
    folder = tmp_path_factory.mktemp("study")
    return {name: setting(folder, name) for name in EFFECTS}


def test_pipeline_writes_the_report_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config(run_dir=str(tmp_path))
    with pytest.raises(ConfigError, match=r"holds no results\.json"):
        report.run(config)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ResultsError, match=r"results\.json"):
        report.run(config)
    make_results(tmp_path, media=False).save(tmp_path / "results.json")
    report.run(config)
    page = tmp_path / "report" / "index.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert "No arm’s success" in page.read_text()


def test_markdown_and_page_show_the_same(results: dict[str, SweepResults], tmp_path: Path) -> None:
    page = write_study(
        summarise("calvin", results),
        tmp_path,
        waiting=["light"],
        command="python pipelines/study.py run_dir=runs/calvin",
    )
    markdown, html = (tmp_path / "study.md").read_text(), page.read_text()
    shown = re.findall(r"!\[[^]]*\]\((\w+\.png)\)", markdown)
    assert len(shown) == 4 and all((tmp_path / name).stat().st_size > 1_000 for name in shown)
    assert html.count("data:image/png") == 2 * len(shown) and not re.search(r"https?://|<script", html)
    for words in ("No results yet of light", "Can it be known without counting successes?", "camera 0.5"):
        assert words in markdown and words in html
    assert "python pipelines/study.py run_dir=runs/calvin" in markdown
    rows = [line.count(" | ") for line in markdown.splitlines() if line.startswith("| setting |")]
    assert len(rows) >= 5, "a table of settings in each section"
    blocks = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    assert all(len({line.count(" | ") for line in block.splitlines()}) == 1 for block in blocks)


def test_a_study_is_written_again_from_what_there_is(
    results: dict[str, SweepResults], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_folder(tmp_path, ["unshifted", "camera_half"]) is None
    results["unshifted"].save(tmp_path / "unshifted" / "results.json")
    report.run(Config(run_dir=str(tmp_path)))
    page = Path(capsys.readouterr().out.strip())
    assert page == tmp_path / "index.html" and "No results yet" not in page.read_text()
    settings = {"unshifted": {}, "camera_half": {"env": {"shifts": {"camera": 0.5}}}}
    report.run(Config(run_dir=str(tmp_path), study=StudyConfig(settings=settings)))
    assert "No results yet of camera_half" in page.read_text()


def test_pipeline_runs_every_setting_and_tells_what_failed(
    results: dict[str, SweepResults], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[str] = []

    def sweep(config: Config) -> SweepResults:
        run.append(Path(config.run_dir).name)
        results[run[-1]].save(Path(config.run_dir) / "results.json")
        return results[run[-1]]

    monkeypatch.setattr(study, "complete_sweep", sweep)
    monkeypatch.setattr(study, "given_checkpoint", lambda config: None)
    monkeypatch.setattr(study, "look_up", lambda config: run.append(f"look up {Path(config.run_dir).name}"))
    settings = {"unshifted": {}, "friction": {"env": {"shifts": {"friction": 1.0}}}}
    with pytest.raises(SystemExit, match=r"1 arms failed[\s\S]*friction: .*step 41 is nan"):
        study.run(Config(run_dir=str(tmp_path), study=StudyConfig(settings=settings)))
    assert run == ["look up unshifted", "look up friction", "unshifted", "friction"], "refused before anything runs"
    assert "friction" in (tmp_path / "study.md").read_text()
