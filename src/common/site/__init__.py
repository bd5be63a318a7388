"""The static site: executed chapters and hand-written pages, staged and rendered.

:func:`stage` writes everything that the site consists of into ``_build/staging``;
:func:`render` turns it into ``_build/html`` and treats every warning as an error.
"""

from collections.abc import Sequence
from pathlib import Path

from common.site.chapters import ChapterResult
from common.site.rendering import render
from common.site.staging import stage

__all__ = ["ChapterResult", "build", "render", "stage"]


def build(results: Sequence[ChapterResult], *, only: Sequence[str] | None = None) -> Path:
    """Stage and render the site.

    Args:
        results: how the chapters of this build ended.
        only: the chapters that were asked for, None for all; the other pages show the newest
            run that there is of their chapter.

    Returns:
        The path of the site's ``index.html``.

    Raises:
        ReplicateError: a page or an entry of ``_toc.yml`` is wrong, or rendering gave warnings.
    """
    return render(stage(results, only=only))
