import json

import numpy as np
import pytest

from common import papers, paths
from common.errors import ReplicateError, UsageError
from common.runs import archives, compact, evidence, keys, store
from common.runs.archives import archive, read_archive
from toy_book import add_paper, add_run, edit


@pytest.fixture
def toy(book):
    """The notebook of a miniature book."""
    return add_paper(book)


def test_an_archive_gives_back_records_verdicts_and_provenance(toy):
    run = add_run(profile="standard", verdict="supported")
    folder = archive("toy")
    assert folder == paths.results_dir("toy") / "standard"
    assert list(folder.parent.iterdir()) == [folder]
    found = read_archive("toy", "standard")
    assert found.provenance["id"] == run.id
    assert found.records["value"].tolist() == [0.0] * 4 + [1.0] * 4
    (verdict,) = found.verdicts
    assert (verdict["claim"], verdict["verdict"]) == ("C1", "supported")
    assert found.audit[0]["id"] == "A1"
    assert found.arrays == {}
    assert not found.stale


def test_an_archive_stamps_contents_and_names_no_commit(toy):
    add_run(profile="standard")
    stamp = json.loads((archive("toy") / "run.json").read_text())
    assert "git" not in stamp
    assert "commit" not in json.dumps(stamp)
    assert set(stamp["files"]) == {"records.parquet", "verdicts.json", "audit.json"}
    assert stamp["key"]["notebook"]


def test_arrays_are_kept_beside_the_records(toy):
    run = add_run(profile="standard")
    folder = store.runs_dir("toy") / run.id
    np.savez_compressed(folder / "arrays.npz", curve=np.arange(3.0))
    stamp = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**stamp, "files": store.file_hashes(folder)}))
    archive("toy")
    assert read_archive("toy", "standard").arrays["curve"].tolist() == [0.0, 1.0, 2.0]


def test_without_an_archive_there_is_none(toy):
    assert read_archive("toy", "standard") is None


def test_an_archive_grows_stale_with_code_and_declaration_and_says_why(toy):
    add_run(profile="standard")
    archive("toy")
    edit(toy, "# # A toy chapter", "# # Other prose")
    edit(
        paths.paper_dir("toy") / "paper.yml", "n_cases: 9}, minutes: 0.1", "n_cases: 9}, minutes: 7"
    )
    assert not read_archive("toy", "standard").stale
    edit(paths.paper_dir("toy") / "paper.yml", "{n_cases: 9}", "{n_cases: 8}")
    assert read_archive("toy", "standard").stale_because == (
        "the parameters of the profile changed",
    )
    edit(toy, "default_rng(3)", "default_rng(4)")
    found = read_archive("toy", "standard")
    assert found.stale
    assert found.stale_because[0] == "the notebook's code changed"


def test_other_sizes_of_the_quick_profile_leave_an_archive_as_it_is(toy):
    add_run(profile="standard")
    archive("toy")
    edit(toy, "n_cases = 4", "n_cases = 3")
    assert not read_archive("toy", "standard").stale
    # a parameter that the standard profile takes from the cell
    edit(toy, "rate = 0.5", "rate = 0.25")
    assert read_archive("toy", "standard").stale_because == (
        "the parameters of the profile changed",
    )


def test_an_archive_is_judged_again_by_the_statistics_of_today(toy):
    add_run(profile="standard", verdict="supported")  # on four pairs, which cannot support it
    archive("toy")
    assert archives.judge_again("toy") == [("C1", "replication", "supported", "inconclusive")]
    found = read_archive("toy", "standard")
    (verdict,) = found.verdicts
    assert (verdict["verdict"], verdict["effect"], verdict["n_clusters"]) == ("inconclusive", 1, 4)
    assert found.records["value"].tolist() == [0.0] * 4 + [1.0] * 4
    assert found.provenance["judged"][:2] == "20"
    assert not found.stale
    assert [path.name for path in found.folder.parent.iterdir()] == ["standard"]
    assert archives.judge_again("toy") == []


def test_what_is_not_archived_cannot_be_judged_again(toy):
    with pytest.raises(ReplicateError, match="no archive of profile full to judge"):
        archives.judge_again("toy", profile="full")


@pytest.mark.parametrize("profile", ["standard", "full"])
@pytest.mark.parametrize("slug", papers.slugs())
def test_archived_verdicts_are_what_the_statistics_of_today_say(slug, profile):
    found = read_archive(slug, profile)
    if found is None:
        pytest.skip(f"{slug} has no archive of profile {profile}")
    today = archives.judged_today(found)
    assert len(today) == len(found.verdicts) > 0
    for old, new in zip(found.verdicts, today, strict=True):
        assert (old["claim"], old["verdict"]) == (new["claim"], new["verdict"]), (
            f"run `replicate archive {slug} --profile {profile} --judge-again`"
        )


def test_a_stale_run_is_archived_only_on_demand(toy):
    add_run(profile="standard")
    edit(toy, "default_rng(3)", "default_rng(4)")
    with pytest.raises(ReplicateError, match="is stale: the notebook's code changed"):
        archive("toy")
    assert read_archive("toy", "standard") is None
    archive("toy", allow_stale=True)
    assert read_archive("toy", "standard").stale


def test_the_newest_run_with_the_profiles_own_parameters_is_taken(toy):
    add_run(profile="standard", ended="2026-01-01T00:00:00.000000+00:00")
    newest = add_run(profile="standard", ended="2026-01-03T00:00:00.000000+00:00")
    add_run(profile="standard", ended="2026-01-04T00:00:00.000000+00:00", given={"rate": 0.1})
    archive("toy")
    assert read_archive("toy", "standard").provenance["id"] == newest.id


def test_there_is_nothing_to_archive_without_such_a_run(toy):
    with pytest.raises(ReplicateError, match="was not run yet"):
        archive("toy")
    add_run(profile="standard", given={"rate": 0.1})
    with pytest.raises(ReplicateError, match="only with other parameters"):
        archive("toy")
    with pytest.raises(UsageError, match="must be standard or full, got 'quick'"):
        archive("toy", profile="quick")


def test_files_over_one_megabyte_are_refused_and_the_old_archive_stays(toy, monkeypatch):
    old = add_run(profile="standard")
    archive("toy")
    add_run(profile="standard", ended="2026-01-03T00:00:00.000000+00:00", n_cases=9)
    monkeypatch.setattr(archives, "LIMIT_BYTES", 100)
    with pytest.raises(ReplicateError, match="must be at most 1 MB together"):
        archive("toy")
    assert read_archive("toy", "standard").provenance["id"] == old.id
    assert [path.name for path in paths.results_dir("toy").iterdir()] == ["standard"]


def test_an_archive_over_one_megabyte_keeps_as_many_digits_as_fit(toy, monkeypatch):
    add_run(profile="standard", n_cases=3000)
    folder = archive("toy")
    names = json.loads((folder / "run.json").read_text())["files"]
    whole = sum((folder / name).stat().st_size for name in names)
    kept = {}
    for limit in (whole, whole - 2000):
        monkeypatch.setattr(archives, "LIMIT_BYTES", limit)
        archive("toy")
        found = read_archive("toy", "standard")
        kept[limit] = found.provenance.get("record_digits")
        assert len(found.records) == 6000
        assert not found.stale
    assert kept == {whole: None, whole - 2000: compact.DIGITS[0]}


def test_damaged_runs_and_archives_are_refused(toy):
    run = add_run(profile="standard")
    archive("toy")
    for folder, use in (
        (paths.results_dir("toy") / "standard", lambda: read_archive("toy", "standard")),
        (store.runs_dir("toy") / run.id, lambda: archive("toy")),
    ):
        (folder / "verdicts.json").write_text("[]")
        with pytest.raises(ReplicateError, match=r"checksums of its run\.json"):
            use()


def test_a_replaced_archive_leaves_nothing_of_the_old_one(toy):
    add_run(profile="standard")
    folder = archive("toy")
    (folder / "left over").write_text("")
    archive("toy")
    assert "left over" not in [path.name for path in folder.iterdir()]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_larger_profile_outweighs_a_newer_quick_run(toy):
    from common import papers

    paper = papers.load("toy")
    untested, open_claim = evidence.verdicts(paper)
    assert (untested["layer"], untested["verdict"]) == ("published", "untested")
    assert untested["note"] == "the paper prints no n"
    assert open_claim["verdict"] == "not run"
    add_run(profile="standard", verdict="supported")
    archive("toy")
    add_run(profile="quick", ended="2026-02-01T00:00:00.000000+00:00")
    add_run(
        profile="standard",
        ended="2026-03-01T00:00:00.000000+00:00",
        given={"rate": 0.1},
        verdict="contradicted",
    )
    judged = evidence.verdicts(paper)[1]
    assert (judged["verdict"], judged["profile"]) == ("supported", "standard")
    assert evidence.counts(evidence.verdicts(paper)) == {
        "published": {"untested": 1},
        "replication": {"supported": 1},
    }


def test_every_stamped_field_is_part_of_a_run(toy):
    run = add_run(profile="standard")
    described = json.loads((store.runs_dir("toy") / run.id / "run.json").read_text())
    assert set(archives._STAMP) <= set(described)
    assert described["key"] == json.loads(json.dumps(keys.plan("toy", profile="standard").parts))


def test_a_run_of_a_dirty_checkout_is_refused_unless_allowed(book):
    add_paper(book)
    add_run("toy", "standard", dirty=True)
    with pytest.raises(ReplicateError, match=r"changes that no commit holds.*--allow-dirty"):
        archive("toy")
    assert not archives.archive_dir("toy", "standard").exists()
    assert archive("toy", allow_dirty=True).is_dir()
