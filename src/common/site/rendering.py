"""Rendering of the staged site with jupyter-book; warnings are errors."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from common.errors import ReplicateError
from common.runs.files import read_json, storage, write_json
from common.site import icons, imprint, machine

STAMP = ".stamp.json"
_TOOLS = (
    "jupyter-book",
    "sphinx",
    "myst-nb",
    "sphinx-book-theme",
    "pydata-sphinx-theme",
    "sphinx-mathjax-offline",
    "sphinxext-opengraph",
)
_WARNING = re.compile(r"\b(WARNING|ERROR|CRITICAL|SEVERE)\b")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MOST_LINES = 40
# what the theme leaves without a name or role for assistive technology
_MENDS = (
    (
        '<summary><span class="toctree-toggle" role="presentation">',
        '<summary aria-label="Pages below"><span class="toctree-toggle" role="presentation">',
    ),
    ('role="doc-biblioentry"', 'role="listitem"'),
)
# a quarter of a megabyte that pages without maths do not need
_MATHJAX = re.compile(r"<script[^>]*/mathjax/[^>]*></script>\n?")
_MATHS = re.compile(r'class="(?:[^"]* )?math[ "]')
# the theme repeats the title for paper without escaping it; paper shows the page's own
_PRINT_TITLE = re.compile(
    r'(<div id="jb-print-docs-body" class="onlyprint">)\s*<h1>.*</h1>(?=\s*<!-- Table of)', re.S
)
_FRONT_DOOR = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Refresh" content="0; url={page}">
<link rel="icon" href="data:,">
<title>The Replication Book</title>
</head>
<body><p><a href="{page}">The Replication Book</a></p></body>
</html>
"""


def render(staging: Path) -> Path:
    """Render the staged site, unless exactly this site was rendered before.

    Args:
        staging: folder with ``_config.yml``, ``_toc.yml`` and the pages.

    Returns:
        ``index.html`` in the folder ``html`` beside the staging folder.

    Raises:
        ReplicateError: jupyter-book gave a warning or failed; the lines are in the message, and
            the next build starts afresh.
    """
    html = staging.parent / "html"
    wanted = fingerprint(staging)
    stamp = read_json(html / STAMP)
    if stamp == wanted and (html / "index.html").is_file():
        return html / "index.html"
    with storage(html):
        _forget(html, keep_pages=isinstance(stamp, dict) and stamp["pages"] == wanted["pages"])
    options = ["-n", "-W", "--keep-going", "-q", "--path-output", str(staging.parent.parent)]
    done = subprocess.run(
        [*_command(), "build", *options, str(staging)],
        env={**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    problems = _problems(done.stdout + done.stderr, staging)
    if done.returncode != 0 or problems:
        _forget(html, keep_pages=False, keep_html=True)
        raise ReplicateError(_message(problems, done.stdout + done.stderr, html))
    _open_front_door(html)
    _mend(html)
    icons.slim(html)
    machine.finish(html, staging, imprint.read(staging))
    write_json(html / STAMP, wanted)
    return html / "index.html"


def _open_front_door(html: Path) -> None:
    """Give the redirect that jupyter-book writes to the first page a title, language and link."""
    index = html / "index.html"
    text = index.read_text(encoding="utf-8")
    target = re.search(r'http-equiv="Refresh" content="0; url=([^"]+)"', text)
    if target and "<body" not in text:
        page = target.group(1)
        index.write_text(_FRONT_DOOR.format(page=page), encoding="utf-8")


def _mend(html: Path) -> None:
    """Escape, name and label what the theme does not; leave out MathJax where no maths is."""
    for page in html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        mended = _PRINT_TITLE.sub(r"\1", text)
        for old, new in _MENDS:
            mended = mended.replace(old, new)
        if not _MATHS.search(mended):
            mended = _MATHJAX.sub("", mended)
        if mended != text:
            page.write_text(mended, encoding="utf-8")


def fingerprint(staging: Path) -> dict[str, Any]:
    """Describe a staged site by its content and the tools that render it.

    Args:
        staging: the staged site.

    Returns:
        ``content``: one hash over all files; ``pages``: their names; ``tools``: versions.
    """
    digest = hashlib.sha256()
    pages = []
    for path in sorted(path for path in staging.rglob("*") if path.is_file()):
        name = path.relative_to(staging).as_posix()
        pages.append(name)
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    tools = {name: metadata.version(name) for name in _TOOLS}
    return {"content": digest.hexdigest(), "pages": pages, "tools": tools}


def _command() -> list[str]:
    # the package has no __main__, and the script's folder need not be on the path
    return [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]


def _forget(html: Path, *, keep_pages: bool, keep_html: bool = False) -> None:
    """Withdraw the stamp, and what an incremental build would otherwise take over.

    Sphinx tells a warning only when it reads the page, and never removes a page: after a failure,
    or when pages came or went, everything is rendered anew.
    """
    (html / STAMP).unlink(missing_ok=True)
    if not keep_pages:
        shutil.rmtree(html.parent / ".doctrees", ignore_errors=True)
        if not keep_html:
            shutil.rmtree(html, ignore_errors=True)


def _problems(text: str, staging: Path) -> list[str]:
    lines = [_ANSI.sub("", line).replace(f"{staging}/", "") for line in text.splitlines()]
    return list(dict.fromkeys(line.strip() for line in lines if _WARNING.search(line)))


def _message(problems: list[str], text: str, html: Path) -> str:
    lines = problems or _ANSI.sub("", text).strip().splitlines()[-8:]
    shown = "\n".join(f"  {line}" for line in lines[:_MOST_LINES])
    more = f"\n  and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return (
        f"jupyter-book gave {len(problems)} warnings, which are errors here:\n{shown}{more}\n"
        f"Mend the pages named above and build again; {html} shows how they look now."
    )
