"""A small paper and its records, built by each test to its need."""

import numpy as np
import pandas as pd
import pytest

from common.papers import Paper
from common.records import Recorder


@pytest.fixture
def make_paper():
    """Build a paper from claims given as dictionaries; what is not given is filled in."""

    def make(*claims, arms=("a", "b", "c", "d"), better="higher", families=None):
        filled = []
        for number, claim in enumerate(claims):
            defaults = {
                "id": f"C{number + 1}",
                "text": "A claim.",
                "where": "Table 1",
                "metric": "score",
                "direction": "greater",
                "unit": {"case": "image", "cluster": "patient"},
                "evidence": {"replication": {}},
            }
            filled.append(defaults | claim)
        return Paper.model_validate(
            {
                "slug": "toy",
                "title": "A toy",
                "authors": ["A. Author"],
                "year": 2020,
                "venue": "Nowhere",
                "kind": "report",
                "citation": "author2020",
                "summary": "Arms.",
                "task": ["classification"],
                "modality": "none",
                "datasets": [{"id": "toy-phantom", "source": "phantom", "role": "all"}],
                "arms": [{"id": arm, "label": arm, "sources": ["phantom"]} for arm in arms],
                "metrics": [
                    {"id": "score", "label": "Score", "unit": "fraction", "better": better}
                ],
                "tables": [{"id": "table1", "caption": "Table", "where": "Table 1"}],
                "families": families or {"main": {"method": "holm"}},
                "claims": filled,
                "profiles": {"quick": {"parameters": {}, "minutes": 1, "memory_gb": 1}},
            }
        )

    return make


@pytest.fixture
def make_records():
    """Record scores (n_seeds, n_clusters, n_cases) of each arm, patients dealt to folds in turn."""

    def make(scores, *, n_folds=0, group="", source="phantom", run="r1"):
        recorder = Recorder(paper="toy", run=run, profile="standard", source=source)
        for arm, values in scores.items():
            values = np.asarray(values, dtype=float)
            n_clusters, n_cases = values.shape[1:]
            cluster = np.repeat(np.arange(n_clusters), n_cases)
            for seed, of_seed in enumerate(values):
                recorder.add(
                    "score",
                    of_seed.ravel(),
                    arm=arm,
                    seed=seed,
                    case=[f"i{number:04d}" for number in range(n_clusters * n_cases)],
                    cluster=[f"p{number:03d}" for number in cluster],
                    fold=[f"f{number % n_folds}" for number in cluster] if n_folds else "",
                    group=np.repeat(group, n_cases) if np.ndim(group) else group,
                )
        return recorder.frame()

    return make


@pytest.fixture
def draw(rng):
    """Draw scores of several arms with given means: patients alike, training runs unlike."""

    def drawn(
        means, *, n_seeds=3, n_clusters=30, n_cases=4, sd_patient=0.1, sd_own=0.03, sd_seed=0.0
    ):
        shared = sd_patient * rng.normal(size=(1, n_clusters, 1))
        shape = (n_seeds, n_clusters, n_cases)
        return {
            arm: mean
            + shared
            + sd_own * rng.normal(size=shape)
            + sd_seed * rng.normal(size=(n_seeds, 1, 1))
            for arm, mean in means.items()
        }

    return drawn


@pytest.fixture
def concat():
    """Put tables of records together."""

    def together(*tables):
        return pd.concat(tables, ignore_index=True)

    return together
