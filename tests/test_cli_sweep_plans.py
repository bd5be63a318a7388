import json
import re
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
from typer.testing import CliRunner

from common.cli import app, sweeps
from common.runs import engine, keys, store
from common.runs.results import RunResult
from common.runs.sweeps import spec
from toy_book import add_paper, add_run, edit


@pytest.fixture
def toy(book):
    """A miniature chapter that has a seed."""
    path = add_paper(book)
    edit(path, "n_cases = 4", "seed = 7  # first\nn_cases = 4")
    return path


@dataclass
class Engine:
    """Stands for the engine: remembers what it was asked, and fails some of the points."""

    plans: list
    options: dict
    known: list
    fails: tuple = ()

    def execute_plans(self, plans, **options):
        self.plans, self.options = list(plans), options
        self.known = list(spec.sweeps_dir().glob("*/sweep.json"))
        return [self._result(number, plan) for number, plan in enumerate(plans, start=1)]

    def _result(self, number, plan):
        folder = store.runs_dir(plan.slug) / plan.id
        if number in self.fails:
            error = f"{plan.slug}: code cell 3 of 5 failed with ValueError: run {number} is bad"
            return RunResult(plan.slug, plan.profile, plan.id, error=error, cell=3)
        cached = number == 1
        run = {"wall_s": 2.5}
        return RunResult(plan.slug, plan.profile, plan.id, folder=folder, run=run, cached=cached)


@pytest.fixture
def made(monkeypatch):
    fake = Engine([], {}, [])
    monkeypatch.setattr(engine, "execute_plans", fake.execute_plans, raising=False)
    return fake


def replicate(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args):
    """Return what a command prints as JSON, which must be all that it prints."""
    result = replicate(*args)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("command", ["sweep", "collect"])
def test_the_commands_explain_themselves_with_examples(command):
    text = replicate(command, "--help").stdout
    assert re.search(rf"^    replicate {command} ", text, re.MULTILINE)
    assert f"  {command} " in replicate("--help").stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["toi", "-p", "rate=1"], "unknown chapter 'toi'. Did you mean 'toy'?"),
        (["toy", "sweep.yml"], "a sweep is of one chapter, got toy, sweep.yml"),
        (["toy,toi", "-p", "rate=1"], "a sweep is of one chapter, got toy, toi"),
        (["toy"], "the sweep has no points"),
        (["toy", "-p", "rat=1"], "Did you mean `rate`?"),
        (["toy", "-p", "rate=1,x"], "point 2 (rate='x'): parameter `rate` must be float"),
        (["toy", "-p", "n_cases=1,99"], "`n_cases` must be in [1, 50], got 99"),
        (["toy", "-p", "rate=1,1.0"], "points 1 and 2 are the same run"),
        (["toy", "-p", "rate=1", "--profile", "qick"], "Did you mean 'quick'?"),
        (["toy", "-p", "rate=1", "--name", "a b"], "name: must be one word"),
        (["toy", "-p", "rate=1", "--timeout", "soon"], "a time must be seconds"),
        (["toy", "-p", "rate=1", "--timeout", "0"], "a time must be seconds"),
        (["missing.yml"], "there is no sweep file missing.yml"),
    ],
)
@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_request_that_cannot_be_meant_starts_and_leaves_nothing(
    toy, book, made, args, message, dry
):
    result = replicate("sweep", *args, *dry)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stdout == ""
    assert made.plans == []
    assert not (book / "_build").exists()


def test_a_file_and_parameters_on_the_command_line_exclude_each_other(toy, book):
    path = book / "sweep.yml"
    path.write_text("chapter: toy\nparameters: {rate: [0.1]}\n")
    result = replicate("sweep", path, "-p", "rate=0.2")
    assert result.exit_code == 2
    assert "are given in the file" in result.stderr


# dry run


def test_a_dry_run_tells_every_run_and_what_is_left_to_do(toy, book):
    add_run(given={"rate": 0.1, "seed": 7})
    told = answer(
        "sweep", "toy", "-p", "rate=0.1,0.2", "--seeds", 2, "--dry-run", "--json", "--jobs", 2
    )
    assert told["varied"] == ["rate", "seed"]
    assert (told["runs"], told["cached"], told["to_run"]) == (4, 1, 3)
    assert [row["state"] for row in told["points"]] == ["cached", "to run", "to run", "to run"]
    first = told["points"][0]
    assert first["run"] == keys.plan("toy", given={"rate": 0.1, "seed": 7}).id
    assert first["parameters"] == {"rate": 0.1, "seed": 7}
    # one run of the profile took 75 s; three are left, two at a time
    assert told["points"][1]["estimate_s"] == 75
    assert told["estimate_s"] == 112.5
    assert not (book / "_build" / "sweeps").exists()


def test_where_nothing_ran_yet_the_estimate_is_that_of_the_declaration(toy):
    told = answer("sweep", "toy", "-p", "rate=0.1,0.2", "--dry-run", "--json", "--jobs", 1)
    assert told["estimate_s"] == pytest.approx(2 * 0.1 * 60)


def test_an_estimate_is_the_median_of_recent_runs_of_the_same_profile(toy):
    for number, wall_s in enumerate([10, 1000, 20], start=1):
        plan = add_run(given={"seed": number})
        edit(store.runs_dir("toy") / plan.id / "run.json", '"wall_s": 75.0', f'"wall_s": {wall_s}')
    add_run(profile="standard")
    told = answer("sweep", "toy", "-p", "rate=0.1", "--dry-run", "--json", "--jobs", 1)
    assert told["estimate_s"] == 20


def test_forced_runs_are_not_taken_from_the_cache(toy):
    add_run(given={"rate": 0.1})
    told = answer("sweep", "toy", "-p", "rate=0.1", "--force", "--dry-run", "--json")
    assert told["points"][0]["state"] == "to run"


def test_the_table_shows_fifty_rows_with_whole_ids_and_counts_the_rest(toy):
    result = replicate("sweep", "toy", "-p", f"seed={','.join(map(str, range(60)))}", "--dry-run")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["run", "seed", "state", "estimate"]
    assert lines[50].split()[:3] == ["50", keys.plan("toy", given={"seed": 49}).id, "49"]
    assert lines[51] == "... and 10 more"
    assert "60 runs, 0 cached, 60 to run" in lines[52]
    assert len(lines) == 53


def test_a_table_of_many_parameters_cuts_no_id(toy):
    names = ["n_cases=1,2", "rate=0.12345678", "loss=dice", "widths=(8,16,32,64,128)", "limit=3"]
    given = [part for name in names for part in ("-p", name)]
    result = replicate("sweep", "toy", *given, "--seeds", 1, "--dry-run")
    assert len(re.findall(r"\b[0-9a-f]{16}\b", result.stdout)) == 2
    assert "(8, 16, 32, 64, 128)" in result.stdout


def test_what_was_left_out_is_told(toy, book):
    path = book / "sweep.yml"
    path.write_text("chapter: toy\nparameters: {rate: [0.1, 0.9]}\nconstraints: [rate < 0.5]\n")
    result = replicate("sweep", path, "--dry-run")
    assert f"{path}, constraint 1, `rate < 0.5`: 1 of 2 points are left out." in result.stdout


def test_a_dry_run_needs_no_slow_library(toy, book):
    many = ",".join(map(str, range(1000)))
    code = (
        "import sys\n"
        "from common.cli import app\n"
        f"app(['sweep', 'toy', '-p', 'seed={many}', '--dry-run'], standalone_mode=False)\n"
        "slow = {'torch', 'monai', 'distributed', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported: {slow}' if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "1000 runs" in done.stdout


# execution


def test_a_sweep_is_written_before_its_first_run_and_hands_on_every_option(toy, book, made):
    result = replicate(
        *("sweep", "toy", "-p", "rate=0.1,0.2", "--seeds", 2, "--name", "rates", "--jobs", 3),
        *("--scheduler", "tcp://127.0.0.1:1", "--gpus", "--timeout", "30m", "--retries", 0),
        "--force",
    )
    assert result.exit_code == 0, result.output
    assert made.known == [spec.folder(spec.read("rates")[0].id) / "sweep.json"]
    sweep, runs = spec.read("rates")
    assert runs == [plan.id for plan in made.plans]
    assert [point["seed"] for point in sweep.points] == [7, 8, 7, 8]
    assert callable(made.options.pop("listener"))
    assert callable(made.options.pop("note"))
    assert made.options == {
        "force": True,
        "jobs": 3,
        "scheduler": "tcp://127.0.0.1:1",
        "gpus": True,
        "timeout": 1800.0,
        "retries": 0,
    }
    assert f"replicate collect {sweep.id}" in result.stdout
    assert "sweep rates: 3 done, 1 cached, 0 failed in " in result.stdout


def test_a_file_is_swept_with_the_options_of_the_command_line_over_its_own(toy, book, made):
    path = book / "sweep.yml"
    path.write_text("chapter: toy\nseeds: 2\nparameters: {rate: [0.1]}\n")
    assert replicate("sweep", path, "--profile", "standard", "--seeds", 3).exit_code == 0
    assert [plan.parameters["seed"] for plan in made.plans] == [7, 8, 9]
    assert {plan.parameters["n_cases"] for plan in made.plans} == {9}


def test_failed_runs_are_told_by_their_point_and_end_the_command_with_1(toy, made):
    made.fails = tuple(range(2, 15))
    result = replicate("sweep", "toy", "-p", "n_cases=" + ",".join(map(str, range(1, 16))))
    assert result.exit_code == 1
    assert "error: run 2 (n_cases=2): toy: code cell 3 of 5 failed with ValueError" in result.stderr
    assert result.stderr.count("error: run") == 10
    assert "... and 3 more failed" in result.stderr
    assert "1 done, 1 cached, 13 failed" in result.stdout


def test_the_outcome_for_machines_is_one_document(toy, made):
    made.fails = (2,)
    result = replicate("sweep", "toy", "-p", "rate=0.1,0.2,0.3", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["done"], told["cached"], told["failed"]) == (1, 1, 1)
    assert [row["state"] for row in told["runs"]] == ["cached", "failed", "done"]
    assert told["runs"][1]["cell"] == 3
    assert told["runs"][1]["parameters"] == {"rate": 0.2}
    assert told["sweep"] == spec.read("toy")[0].id


def test_an_interrupted_sweep_can_be_collected(toy, monkeypatch):
    def interrupt(_plans, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "execute_plans", interrupt, raising=False)
    result = replicate("sweep", "toy", "-p", "rate=0.1,0.2")
    assert result.exit_code == 130
    assert len(spec.read("toy")[1]) == 2


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5 h", 5400), (" 30m ", 1800)]
)
def test_times_are_read_with_their_unit(text, seconds):
    assert sweeps.seconds(text) == seconds


# collect


@pytest.fixture
def gathered(monkeypatch):
    """Stand for the modules that gather results; remember what they were asked."""
    asked = {}

    def collect(reference, *, metric=None, folder=None):
        asked.update(reference=reference, metric=metric, tables=folder)
        return _Collected(spec.read(reference)[0])

    def write(_collected, folder):
        asked["folder"] = folder
        return folder / "index.html"

    parts = {
        "collect": {"collect": collect},
        "page": {"write": write},
        "summary": {"markdown": lambda collected: f"## {collected.sweep.name}"},
    }
    for name, functions in parts.items():
        module = ModuleType(name)
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, f"common.runs.sweeps.{name}", module)
        monkeypatch.setattr(f"common.runs.sweeps.{name}", module, raising=False)
    return asked


@dataclass
class _Collected:
    sweep: spec.Sweep


@pytest.fixture
def swept(book):
    made = spec.make("toy", "quick", varied=["rate"], points=[{"rate": 0.1}])
    spec.write(made, ["0" * 16])
    return made


def test_a_sweep_is_collected_into_its_own_folder(swept, gathered):
    result = replicate("collect", "toy", "--metric", "score")
    assert result.exit_code == 0, result.output
    folder = spec.folder(swept.id)
    assert gathered == {"reference": "toy", "metric": "score", "tables": None, "folder": folder}
    assert str(folder / "index.html") in result.stdout


def test_a_folder_can_be_chosen(swept, gathered, tmp_path):
    told = answer("collect", swept.id, "--output", tmp_path / "out", "--json")
    assert told["page"] == str(tmp_path / "out" / "index.html")
    assert gathered["folder"] == gathered["tables"] == tmp_path / "out"


def test_markdown_is_all_that_is_printed(swept, gathered):
    result = replicate("collect", swept.id, "--markdown")
    assert result.stdout == f"## toy-{swept.id}\n"
    assert "folder" not in gathered


def test_an_unknown_sweep_cannot_be_collected(swept, gathered):
    result = replicate("collect", "tay")
    assert result.exit_code == 2
    assert f"unknown sweep 'tay'. Known, newest first: {swept.id}" in result.stderr
