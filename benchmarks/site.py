"""Weigh and time the built site; fails where a bar is missed. Run `replicate build` before.

Thirty chapters are thirty copies of the one with the largest page.
"""

import gzip
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

from common import paths
from common.site import rendering

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu"]
N_CHAPTERS, N_LOADS = 30, 5
MB = 1e6
TEXT = (".html", ".css", ".js", ".svg", ".json")


def weights(html: Path) -> dict[str, float]:
    """Return the bytes sent for the front page and the largest chapter, and times to first paint.

    A file counts once, and none is taken from a cache.
    """
    from playwright.sync_api import sync_playwright

    pages = {"front page": html / "book/index.html", "largest chapter": largest(html)}
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, page in pages.items():
            tab = browser.new_page()
            read: set[str] = set()
            tab.on("requestfinished", lambda request, read=read: read.add(request.url))
            tab.goto(page.as_uri(), wait_until="networkidle")
            files = [Path(url.removeprefix("file://").split("?")[0]) for url in read]
            found[name] = sum(map(transferred, filter(Path.is_file, files)))
            paints = []
            for _ in range(N_LOADS):
                tab.goto("about:blank")
                tab.goto(page.as_uri(), wait_until="load")
                tab.wait_for_timeout(300)
                entry = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                paints.append(tab.evaluate(entry))
            found[f"{name}, first paint"] = statistics.median(paints) / 1000
        browser.close()
    return found


def transferred(file: Path) -> int:
    """Return the bytes that a web server sends of a file: text goes compressed."""
    data = file.read_bytes()
    return len(gzip.compress(data)) if file.suffix in TEXT else len(data)


def largest(html: Path) -> Path:
    return max((html / "notebooks").glob("*.html"), key=lambda page: page.stat().st_size)


def rendering_times(staging: Path) -> tuple[float, float]:
    """Return the seconds to render thirty chapters, and then one changed chapter."""
    source = max((staging / "notebooks").glob("*.ipynb"), key=lambda page: page.stat().st_size)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "_build/staging"
        shutil.copytree(staging, copy)
        names = [f"chapter{number:02d}" for number in range(N_CHAPTERS)]
        for name in names:
            text = source.read_text(encoding="utf-8").replace(f"{source.stem}-", f"{name}-")
            (copy / f"notebooks/{name}.ipynb").write_text(text, encoding="utf-8")
            for beside in (staging / "notebooks").glob(f"{source.stem}-*"):
                named = beside.name.replace(f"{source.stem}-", f"{name}-", 1)
                shutil.copy(beside, copy / "notebooks" / named)
        yaml = YAML()
        toc = yaml.load(copy / "_toc.yml")
        part = next(part for part in toc["parts"] if part.get("caption") == "Chapters")
        part["chapters"] += [{"file": f"notebooks/{name}"} for name in names[1:]]
        yaml.dump(toc, copy / "_toc.yml")
        (copy / f"notebooks/{names[0]}.ipynb").unlink()
        started = time.perf_counter()
        rendering.render(copy)
        whole = time.perf_counter() - started
        changed = copy / f"notebooks/{names[1]}.ipynb"
        changed.write_text(changed.read_text(encoding="utf-8").replace("Limits", "The limits", 1))
        started = time.perf_counter()
        rendering.render(copy)
        return whole, time.perf_counter() - started


def main() -> int:
    """Print each bar with what was measured; return the number of bars missed."""
    build = paths.build_dir()
    if not (build / "html/index.html").is_file():
        print("there is no built site; run `replicate build` first")
        return 1
    rows = []
    if CHROMIUM is None:
        print("no Chromium on the path; weights and paints were not measured")
    else:
        found = weights(build / "html")
        rows += [
            ("front page, transferred (MB)", found["front page"] / MB, 0.5),
            ("largest chapter, transferred (MB)", found["largest chapter"] / MB, 2.0),
            ("front page, first paint (s)", found["front page, first paint"], 1.0),
            ("largest chapter, first paint (s)", found["largest chapter, first paint"], 1.0),
        ]
    whole, one = rendering_times(build / "staging")
    rows += [("rendering 30 chapters (s)", whole, 90.0), ("one changed chapter (s)", one, 20.0)]
    for what, measured, bar in rows:
        kept = "kept" if measured <= bar else "MISSED"
        print(f"{what:36} {measured:8.2f}   bar {bar:6.1f}   {kept}")
    return sum(measured > bar for _, measured, bar in rows)


if __name__ == "__main__":
    sys.exit(main())
