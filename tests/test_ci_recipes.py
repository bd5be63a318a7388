"""Recipes of continuous integration and the how-to page: every command in them exists."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from distributed.cli import dask_scheduler, dask_ssh, dask_worker
from typer.main import get_command

from common import papers, strict_yaml
from common.cli import app
from common.runs import keys
from common.runs.sweeps import request
from toy_book import add_paper

GITHUB = ".github/workflows/chapters.yml"
GITLAB = "ci/gitlab-ci.example.yml"
PAGE = "book/sweeps.md"
DASK = {"ssh": dask_ssh.main, "scheduler": dask_scheduler.main, "worker": dask_worker.main}
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")


def github_scripts(checkout):
    jobs = strict_yaml.read(checkout / GITHUB)["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


def gitlab_scripts(checkout):
    content = strict_yaml.read(checkout / GITLAB)
    jobs = [job for job in content.values() if isinstance(job, dict)]
    return ["\n".join(job["script"]) for job in jobs if "script" in job]


def blocks(checkout, language):
    text = (checkout / PAGE).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(script):
    """List the calls of replicate, dask and tools in a script, as words."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        for part in re.split(r"\|\||&&|\||;|>>|>", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # the inside of a quoted program
                continue
            while words and words[0] in ("do", "then", "if", "!"):
                words = words[1:]
            head = words[0].rsplit("bin/", 1)[-1] if words else ""
            if head in ("replicate", "dask", "make") or head.startswith("tools/"):
                found.append([head, *words[1:]])
    return found


def parse(command, words):
    """Parse words with a click command as a shell would, running nothing."""
    with command.make_context(command.name, list(words), resilient_parsing=False) as context:
        if isinstance(command, click.Group) or hasattr(command, "commands"):
            rest = [*context._protected_args, *context.args]
            name, sub, args = command.resolve_command(context, rest)
            with sub.make_context(name, args, parent=context):
                pass


def check(words, checkout):
    head, *rest = words
    rest = [re.sub(r"\$\{?CHAPTER\}?|\$chapter", "hep2", word) for word in rest]
    rest = [{"$SEEDS": "3", "$PROFILE": "quick"}.get(word, word) for word in rest]
    assert not [word for word in rest if word.startswith("$")], words
    if head == "replicate":
        parse(get_command(app), rest)
    elif head == "dask":
        parse(DASK[rest[0]], rest[1:])
    elif head == "make":
        targets = re.findall(r"^([a-z]+):", (checkout / "Makefile").read_text(), re.MULTILINE)
        assert set(rest) <= set(targets)
    else:
        assert os.access(checkout / head, os.X_OK)


@pytest.mark.parametrize("scripts", [github_scripts, gitlab_scripts])
def test_every_command_of_a_recipe_is_one_that_the_command_line_takes(checkout, scripts):
    found = [words for script in scripts(checkout) for words in commands(script)]
    assert {tuple(words[:2]) for words in found} >= {
        ("replicate", "list"),
        ("replicate", "sweep"),
        ("replicate", "collect"),
        ("tools/setup.sh",),
    }
    for words in found:
        check(words, checkout)


def test_every_command_of_the_page_is_one_that_the_command_line_takes(checkout):
    found = [words for block in blocks(checkout, "bash") for words in commands(block)]
    assert len(found) >= 11
    for words in found:
        check(words, checkout)


def test_an_option_that_does_not_exist_would_be_found(checkout):
    # typer carries a click of its own, whose errors are not click's
    with pytest.raises(Exception, match=r"No such option.*--sedes"):
        check(["replicate", "sweep", "hep2", "--sedes", "3"], checkout)
    with pytest.raises(click.UsageError, match="--n-workers"):
        check(["dask", "ssh", "--n-workers", "3", "head"], checkout)


@pytest.mark.parametrize("scripts", [github_scripts, gitlab_scripts])
def test_every_script_parses_in_bash(checkout, scripts):
    for script in scripts(checkout):
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert done.returncode == 0, (script, done.stderr)


def run_in_toy(book, script, **environment):
    """Run a script of a recipe in a toy book whose ``.venv`` is the present one."""
    (book / ".venv").symlink_to(sys.prefix)
    own = {**os.environ, "REPLICATE_ROOT": str(book), **environment}
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=book, env=own, check=True)


def test_the_matrix_of_github_lists_every_chapter(book, checkout):
    for slug in ("toy", "another"):
        add_paper(book, slug)
    (script,) = [text for text in github_scripts(checkout) if "GITHUB_OUTPUT" in text]
    run_in_toy(book, script, GITHUB_OUTPUT=str(book / "output"))
    name, _, value = (book / "output").read_text().strip().partition("=")
    assert (name, json.loads(value)) == ("chapters", ["another", "toy"])


def test_the_matrix_of_gitlab_lists_every_chapter(book, checkout):
    for slug in ("toy", "another"):
        add_paper(book, slug)
    (book / "tools").mkdir()
    shutil.copy(shutil.which("true"), book / "tools" / "setup.sh")
    run_in_toy(book, "\n".join(strict_yaml.read(checkout / GITLAB)["list"]["script"]))
    child = strict_yaml.read(book / "chapters.yml")
    assert child["sweep"]["parallel"]["matrix"] == [{"CHAPTER": ["another", "toy"]}]
    assert child["include"] == [{"local": GITLAB}]


def test_actions_are_pinned_to_a_major_version_and_nothing_may_write(checkout):
    content = strict_yaml.read(checkout / GITHUB)
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        assert "permissions" not in job
        assert "timeout-minutes" in job
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_no_expression_is_pasted_into_a_shell(checkout):
    for script in github_scripts(checkout):
        assert not _EXPRESSION.search(script)


def test_what_one_job_uploads_the_next_one_finds(checkout):
    jobs = strict_yaml.read(checkout / GITHUB)["jobs"]
    (up,) = [s for s in jobs["sweep"]["steps"] if "upload-artifact" in s.get("uses", "")]
    (down,) = [s for s in jobs["summary"]["steps"] if "download-artifact" in s.get("uses", "")]
    assert up["with"]["path"].split() == ["_build/runs", "_build/sweeps"]
    # the paths of an artefact begin below what all its folders share
    assert down["with"]["path"] == "_build"
    assert up["with"]["name"].startswith(down["with"]["pattern"].rstrip("*"))
    assert "cancelled" in up["if"]


@pytest.mark.parametrize("number", range(3))
def test_the_sweep_files_of_the_page_are_valid(checkout, tmp_path, number):
    path = tmp_path / "sweep.yml"
    path.write_text(blocks(checkout, "yaml")[number])
    asked = strict_yaml.load(path, request.Request)
    planner = keys.planner(papers.require_slug(asked.chapter), asked.profile)
    content = strict_yaml.read(path)
    section = content.get("parameters") or content.get("random", {}).get("parameters") or {}
    named = set(section) | {name for point in content.get("points", []) for name in point}
    assert named <= set(planner.declared)


def test_the_page_has_no_other_sweep_files(checkout):
    assert len(blocks(checkout, "yaml")) == 3


def test_the_python_of_the_page_compiles_and_scales_a_cluster(checkout):
    found = blocks(checkout, "python")
    assert len(found) == 2
    for block in found:
        tree = ast.parse(block)
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert modules & {"dask_jobqueue", "dask_kubernetes.operator"}
        (told,) = re.findall(r'print\(\s*f"(replicate [^"]*)"\s*\)', block)
        check(shlex.split(told.replace("{cluster.scheduler_address}", "tcp://h:1")), checkout)


def test_the_page_is_in_the_table_of_contents(checkout):
    assert "book/sweeps" in (Path(checkout) / "_toc.yml").read_text()
