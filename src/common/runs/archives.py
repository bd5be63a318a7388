"""Archives: the records of a standard or full run, kept in the repository with where they are from.

``book/results/<slug>/<profile>/`` holds ``records.parquet``, ``verdicts.json``, ``audit.json`` and
``run.json``. The stamp consists of content hashes, never of a commit: an archive is committed
together with the code that made it, whose commit does not exist yet.
"""

import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import papers, paths, records as records_module
from common.errors import ReplicateError, UsageError
from common.runs import compact, keys, store
from common.runs.files import read_json, storage, write_json

LIMIT_BYTES = 1_000_000
_STAMP = (
    "slug",
    "profile",
    "id",
    "parameters",
    "key",
    "versions",
    "hardware",
    "threads",
    "ended",
    "wall_s",
    "cpu_s",
    "peak_memory_mb",
    "data",
    "files",
)
# runs of earlier versions, and those without a GPU, lack them
_STAMP_WHERE_KNOWN = ("deterministic", "tries", "gpu", "gpu_s", "gpu_peak_memory_mb")


@dataclass(frozen=True)
class Archive:
    """An archived run.

    Args:
        slug, profile: what was run.
        folder: where the archive lies.
        provenance: content of its ``run.json``.
    """

    slug: str
    profile: str
    folder: Path
    provenance: dict[str, Any]

    @cached_property
    def stale_because(self) -> tuple[str, ...]:
        """What changed in code or ``paper.yml`` since the run; empty if nothing did."""
        return _changes(self.slug, self.profile, self.provenance)

    @property
    def stale(self) -> bool:
        """Whether code or ``paper.yml`` changed since the run."""
        return bool(self.stale_because)

    @cached_property
    def records(self) -> pd.DataFrame:
        """The records; see :mod:`common.records`."""
        return records_module.read(self.folder / store.RECORDS)

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """The verdicts as the run wrote them."""
        return read_json(self.folder / "verdicts.json") or []

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The audit checks as the run wrote them."""
        return read_json(self.folder / "audit.json") or []

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays beside the records, by name."""
        path = self.folder / "arrays.npz"
        if not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def archive_dir(slug: str, profile: str) -> Path:
    """Return the folder of an archive."""
    return paths.results_dir(slug) / profile


def read_archive(slug: str, profile: str) -> Archive | None:
    """Read an archive.

    Args:
        slug: the chapter.
        profile: ``standard`` or ``full``.

    Returns:
        The archive, or None where there is none.

    Raises:
        ReplicateError: it is damaged.
    """
    papers.require_slug(slug)
    folder = archive_dir(slug, profile)
    if not folder.is_dir():
        return None
    stamp = read_json(folder / "run.json")
    if not isinstance(stamp, dict) or stamp.get("files") != store.file_hashes(folder):
        raise ReplicateError(
            f"archive {folder}: its files must have the checksums of its run.json, and have not. "
            "It was left as it is; a file was probably edited or merged by hand. Restore the "
            f"folder, or run `replicate run {slug} --profile {profile}` and "
            f"`replicate archive {slug} --profile {profile}`."
        )
    return Archive(slug, profile, folder, stamp)


def _changes(slug: str, profile: str, run: dict[str, Any]) -> tuple[str, ...]:
    return keys.differences(run.get("key", {}), keys.plan(slug, profile=profile).parts)


def archive(
    slug: str, *, profile: str = "standard", allow_stale: bool = False, allow_dirty: bool = False
) -> Path:
    """Copy the newest complete run of a profile into the repository.

    Records of an archive over 1 MB are stored in the compact form, see
    :func:`common.runs.compact.write`; the stamp then names the digits as ``record_digits``.

    Args:
        slug: the chapter.
        profile: ``standard`` or ``full``.
        allow_stale: archive a run whose code or declaration changed since; the archive then says
            so wherever it is shown.
        allow_dirty: archive a run of a checkout with changes that were not committed.

    Returns:
        The folder of the archive; an older archive is replaced.

    Raises:
        UsageError: unknown chapter or profile, or the quick profile.
        ReplicateError: no such run, a stale one, one of a dirty checkout, no records, or files of
            more than 1 MB; the older archive is untouched.
    """
    if profile == "quick":
        raise UsageError(
            "profile must be standard or full, got 'quick'. A quick run is too small to archive."
        )
    run = _newest(slug, profile, keys.plan(slug, profile=profile))
    changes = _changes(slug, profile, run)
    if changes and not allow_stale:
        raise ReplicateError(
            f"{slug}: the newest {profile} run ({run['id']}) is stale: {'; '.join(changes)}. "
            f"Run `replicate run {slug} --profile {profile}` again, or archive it as stale with "
            "--allow-stale."
        )
    if (run.get("git") or {}).get("dirty") and not allow_dirty:
        raise ReplicateError(
            f"{slug}: the newest {profile} run ({run['id']}) was made in a checkout with changes "
            "that no commit holds. Nothing was archived. Commit them and run "
            f"`replicate run {slug} --profile {profile} --force`, or archive it with --allow-dirty."
        )
    source = store.runs_dir(slug) / run["id"]
    _check_files(slug, source, run)
    target = archive_dir(slug, profile)
    temporary = target.with_name(f".{profile}-{os.getpid()}")
    try:
        with storage(target):
            temporary.mkdir(parents=True)
            for name in run["files"]:
                shutil.copyfile(source / name, temporary / name)
        stamp = {name: run[name] for name in _STAMP}
        stamp |= {name: run[name] for name in _STAMP_WHERE_KNOWN if name in run}
        if digits := _fit(slug, temporary):
            stamp |= {"record_digits": digits, "files": store.file_hashes(temporary)}
        write_json(temporary / "run.json", stamp)
        store.publish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def judged_today(found: Archive) -> list[dict[str, Any]]:
    """Judge the records of an archive by the statistics of today.

    Args:
        found: the archive.

    Returns:
        Its verdicts in their order. Those that its records cannot give stay as the run wrote them:
        of printed tables, and of outputs of the authors, which no archive keeps.
    """
    from common.statistics.verdicts import judge

    paper, records = papers.load(found.slug), found.records
    layers: tuple[papers.Layer, ...] = ("reanalysis", "replication")
    again: dict[tuple[Any, ...], dict[str, Any]] = {
        (each.claim, each.layer, each.source): asdict(each)
        for layer in layers
        for source in sorted(records["source"].unique())
        for each in judge(
            paper,
            records,
            layer=layer,
            source=source,
            profile=found.profile,
            rng=np.random.default_rng(0),
        )
        if each.verdict != "untested"
    }
    place = ("claim", "layer", "source")
    return [again.get(tuple(old.get(name) for name in place), old) for old in found.verdicts]


def judge_again(slug: str, *, profile: str = "standard") -> list[tuple[str, str, str, str]]:
    """Write the verdicts of an archive again, by the statistics of today.

    The stamp then holds the day as ``judged``; records and all else stay as they are.

    Returns:
        Claim, layer, word before and word now, for each verdict whose word changed.

    Raises:
        ReplicateError: there is no archive, or it is damaged; nothing is written.
    """
    found = read_archive(slug, profile)
    if found is None:
        raise ReplicateError(
            f"{slug}: there is no archive of profile {profile} to judge. "
            f"Run `replicate run {slug} --profile {profile}` and `replicate archive {slug}`."
        )
    verdicts = judged_today(found)
    temporary = found.folder.with_name(f".{profile}-{os.getpid()}")
    try:
        with storage(found.folder):
            shutil.copytree(found.folder, temporary)
        write_json(temporary / "verdicts.json", verdicts)
        stamp = found.provenance | {
            "files": store.file_hashes(temporary),
            "judged": datetime.now(UTC).date().isoformat(),
        }
        write_json(temporary / "run.json", stamp)
        changed = [
            (new["claim"], new["layer"], old["verdict"], new["verdict"])
            for old, new in zip(found.verdicts, verdicts, strict=True)
            if old["verdict"] != new["verdict"]
        ]
        store.publish(temporary, found.folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return changed


def _newest(slug: str, profile: str, current: keys.Plan) -> dict[str, Any]:
    runs = [run for run in store.complete(slug) if run["profile"] == profile]
    own = [run for run in runs if run["parameters"] == current.parts["parameters"]]
    if own:
        return own[0]
    reason = "only with other parameters than the profile's" if runs else "not run yet"
    raise ReplicateError(
        f"{slug}: profile {profile} was {reason}, so there is nothing to archive. "
        f"Run `replicate run {slug} --profile {profile}` first."
    )


def _check_files(slug: str, folder: Path, run: dict[str, Any]) -> None:
    if store.lookup(slug, run["id"]) is None:
        raise ReplicateError(
            f"{slug}: the files of run {run['id']} do not have the checksums of its run.json. "
            "Nothing was archived. Run the profile again with --force."
        )
    if store.RECORDS not in run["files"]:
        raise ReplicateError(
            f"{slug}: run {run['id']} wrote no records. Nothing was archived. "
            "End the chapter with `run.save(records)`."
        )


def _fit(slug: str, folder: Path) -> int | None:
    """Make records compact if an archive is too large; return the digits that they keep."""
    if (size := _size(folder)) <= LIMIT_BYTES:
        return None
    path = folder / store.RECORDS
    whole = records_module.read(path)
    for digits in compact.DIGITS:
        compact.write(whole, path, digits=digits)
        if (size := _size(folder)) <= LIMIT_BYTES:
            return digits
    raise ReplicateError(
        f"{slug}: the files of an archive must be at most 1 MB together, got {size / 1e6:.1f} MB "
        f"with {compact.DIGITS[-1]} digits of each value. Nothing was archived. Record fewer "
        "values per case, or means over patches."
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
