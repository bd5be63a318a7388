"""``python -m common.validation``: simulate, count and archive; minutes in full, one if quick."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from common.validation import archive, calibration, planted, powers
from common.validation.engine import N_RESAMPLES

PARTS = ("calibration", "planted", "power")
SEED = 20230
FULL = {"studies": 1500, "confirm": 3, "chapters": 110, "power_studies": 2000}
QUICK = {"studies": 40, "confirm": 0, "chapters": 6, "power_studies": 40}


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m common.validation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few studies, about a minute")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default {SEED}")
    parser.add_argument("--only", choices=PARTS, help="one part; coverage comes with calibration")
    parser.add_argument("--test", action="append", help="calibrate this test only (repeatable)")
    parser.add_argument("--to", type=Path, help="write the tables to this folder")
    return parser.parse_args(given)


def simulate(
    *,
    studies: int,
    confirm: int,
    chapters: int,
    power_studies: int,
    seed: int,
    jobs: int,
    only: str | None = None,
    tests: tuple[str, ...] | None = None,
) -> dict[str, pd.DataFrame]:
    """Run the parts of the validation.

    Args:
        studies: of each kind, for calibration and coverage.
        confirm: see :func:`common.validation.calibration.count`.
        chapters: with a planted truth, of each design.
        power_studies: of each planned study.
        seed: of all random numbers.
        jobs: processes; the tables do not depend on it.
        only: one of :data:`PARTS`; None runs all.
        tests: names of tests to calibrate; None takes all.

    Returns:
        The tables by the names of :data:`common.validation.archive.TABLES`.
    """
    tables: dict[str, pd.DataFrame] = {}
    if only in (None, "calibration"):
        grid = calibration.cells(n=studies)
        counted = calibration.count(
            grid, seed=seed, jobs=jobs, only=tests, confirm=confirm, say=_say
        )
        tables |= calibration.tables(counted)
    if only in (None, "planted"):
        judged = planted.judge_chapters(chapters, seed=seed, jobs=jobs, say=_say)
        tables["planted"] = planted.summary(judged)
    if only in (None, "power"):
        plans = powers.designs()
        tables["power"] = powers.compare(plans, n=power_studies, seed=seed, jobs=jobs, say=_say)
    return tables


def _say(line: str) -> None:
    print(f"[validation] {line}", flush=True)


def main(given: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; a full run replaces the archive."""
    asked = _arguments(given)
    size = QUICK if asked.quick else FULL
    part = asked.quick or asked.only is not None or asked.test is not None
    tests = tuple(asked.test) if asked.test else None
    only = "calibration" if tests else asked.only
    started = time.monotonic()
    tables = simulate(**size, seed=asked.seed, jobs=asked.jobs, only=only, tests=tests)
    wall = round(time.monotonic() - started)
    for line in calibration.report(tables):
        _say(line)
    to = asked.to or (None if part else archive.folder())
    if to is None:
        _say(f"done in {wall} s; nothing written: not a full run (--to FOLDER writes it)")
        return 0
    run = archive.provenance(seed=asked.seed, wall_s=wall, resamples=N_RESAMPLES, **size)
    archive.write(tables, run, to=to)
    _say(f"done in {wall} s; written to {to}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
