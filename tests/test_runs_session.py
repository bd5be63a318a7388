import json
from dataclasses import dataclass

import numpy as np
import pytest

from common import records
from common.errors import ReplicateError, UsageError
from common.runs import session
from toy_book import add_paper, toy_records


@pytest.fixture
def interactive(book, monkeypatch):
    """A miniature book opened in Jupyter."""
    for name in ("DIR", "ID"):
        monkeypatch.delenv(f"REPLICATE_RUN_{name}", raising=False)
    monkeypatch.delenv("REPLICATE_PROFILE", raising=False)
    add_paper(book)
    return book


@dataclass(frozen=True)
class Judged:
    """Stands for a verdict."""

    claim: str
    p: float
    interval: tuple[float, float]


def test_in_jupyter_results_go_to_the_interactive_folder(interactive):
    run = session.start("toy", {"n_cases": 4})
    assert run.folder == interactive / "_build/interactive/toy"
    assert (run.id, run.profile, run.parameters) == ("interactive", "quick", {"n_cases": 4})
    table = toy_records("toy", "interactive", "quick")
    run.save(table)
    run.save(table)
    assert [path.name for path in run.folder.iterdir()] == ["records.parquet"]
    assert records.read(run.folder / "records.parquet").equals(table)


def test_in_a_run_the_environment_says_where_results_go(interactive, monkeypatch, tmp_path):
    monkeypatch.setenv("REPLICATE_RUN_DIR", str(tmp_path / "there"))
    monkeypatch.setenv("REPLICATE_RUN_ID", "0123")
    monkeypatch.setenv("REPLICATE_PROFILE", "standard")
    run = session.start("toy", {})
    recorder = run.recorder("phantom")
    recorder.add("score", 1.0, arm="one", case="i", cluster="p")
    run.save(
        recorder.frame(),
        verdicts=[Judged("C1", float("nan"), (0.0, 1.0)), {"claim": "C2", "n": np.int64(3)}],
        audit=[],
        arrays={"curve": np.arange(3.0)},
    )
    assert records.read(tmp_path / "there/records.parquet")["run"].unique().tolist() == ["0123"]
    verdicts = json.loads((tmp_path / "there/verdicts.json").read_text())
    assert verdicts[0] == {"claim": "C1", "p": None, "interval": [0.0, 1.0]}
    assert verdicts[1] == {"claim": "C2", "n": 3}
    assert np.load(tmp_path / "there/arrays.npz")["curve"].tolist() == [0.0, 1.0, 2.0]


def test_records_of_another_run_or_paper_are_refused(interactive):
    run = session.start("toy", {})
    with pytest.raises(ReplicateError, match="must have run 'interactive', got 'other'"):
        run.save(toy_records("toy", "other", "quick"))
    with pytest.raises(ReplicateError, match="must have paper 'toy', got 'tox'"):
        run.save(toy_records("tox", "interactive", "quick"))
    assert list(run.folder.iterdir()) == []


def test_an_unknown_chapter_is_refused(interactive):
    with pytest.raises(UsageError, match="Did you mean 'toy'"):
        session.start("tou", {})


def test_a_folder_that_cannot_be_made_is_one_clear_error(interactive):
    (interactive / "_build").write_text("a file where a folder should be")
    with pytest.raises(ReplicateError, match="cannot be written"):
        session.start("toy", {})
