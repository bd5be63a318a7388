"""Phantom of HEp-2 predictions: who is right on which patch, without any image.

It has the clustering of the released predictions and, by default, no difference between
configurations, so it shows how often a test finds one that is not there.  One function draws the
parameters, another decides every patch from them and draws nothing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from common.datasets.hep2_phantom import N_FOLDS, PATTERNS, draw_patients

ENDPOINTS = ("label", "intensity", "both")


@dataclass(frozen=True)
class Draws:
    """Parameters of the predictions.

    Attributes:
        patients: patient, label, intensity, fold (A-E).
        logit: log odds of a right answer by endpoint (label, intensity), configuration and
            patient (2, n_configs, n_patients).
        rank: uniform numbers (2, n_configs, n_patients, n_specimens, n_patches); a patch is right
            where its number lies below the probability.
    """

    patients: pd.DataFrame
    logit: NDArray[np.float64]
    rank: NDArray[np.float32]


def draw_predictions(
    n_configs: int = 6,
    *,
    rng: np.random.Generator,
    n_patients: int = 252,
    n_specimens: int = 4,
    n_patches: int = 15,
    mean: float = 2.6,
    patient_sd: float = 2.3,
    config_patient_sd: float = 1.0,
    run_sd: float = 0.3,
    config_effect: NDArray[np.float64] | None = None,
) -> Draws:
    """Draw how hard each patient is for each configuration.

    1. patients with pattern and intensity (see ``draw_patients``), dealt to five folds at random;
    2. for each endpoint on its own, with c a configuration, p a patient and f(p) its fold:
       logit_cp = ``mean`` + effect_c + u_p + v_cp + r_cf(p), with u ~ N(0, ``patient_sd``)
       shared by all configurations, v ~ N(0, ``config_patient_sd``), and r ~ N(0, ``run_sd``)
       for the network trained on that fold;
    3. one uniform number per patch.

    The defaults give accuracy 0.80 and intraclass correlation 0.43 on average (release: 0.82 and
    about 0.45).

    Args:
        n_configs: number of configurations.
        rng: source of randomness.
        n_patients: number of patients.
        n_specimens: specimen images of each patient.
        n_patches: patches of each specimen image.
        mean: mean log odds; higher is more accurate.
        patient_sd: spread between patients; higher is more clustered.
        config_patient_sd: spread of a configuration's own difficulties, 1.0 to 1.6 fits.
        run_sd: spread between trained networks.
        config_effect: log odds added to each configuration (n_configs,); none if left out.

    Returns:
        The parameters.

    Raises:
        ValueError: ``config_effect`` has the wrong shape.
    """
    effect = np.zeros(n_configs) if config_effect is None else np.asarray(config_effect, float)
    if effect.shape != (n_configs,):
        rule = f"`config_effect` must be of shape ({n_configs},)"
        raise ValueError(f"{rule}, got {effect.shape!r}. Give one number per configuration.")
    patients = draw_patients(n_patients, rng=rng)
    fold = rng.permutation(np.arange(n_patients) % N_FOLDS)
    patients["fold"] = np.array(list("ABCDE"))[fold]
    patient = rng.normal(0, patient_sd, (2, 1, n_patients))
    own = rng.normal(0, config_patient_sd, (2, n_configs, n_patients))
    run = rng.normal(0, run_sd, (2, n_configs, N_FOLDS))
    logit = mean + effect[:, None] + patient + own + run[:, :, fold]
    rank = rng.random((2, n_configs, n_patients, n_specimens, n_patches), dtype=np.float32)
    return Draws(patients, logit, rank)


def outcomes(draws: Draws, *, endpoint: str = "label") -> NDArray[np.bool_]:
    """Decide which patches are right.

    Args:
        draws: from :func:`draw_predictions`.
        endpoint: ``label``, ``intensity`` or ``both``.

    Returns:
        True where right (n_configs, n_patients, n_specimens, n_patches).

    Raises:
        ValueError: the endpoint is unknown.

    Example:
        >>> drawn = draw_predictions(2, rng=np.random.default_rng(0), n_patients=3, mean=100.0)
        >>> outcomes(drawn).shape, bool(outcomes(drawn).all())
        ((2, 3, 4, 15), True)
    """
    if endpoint not in ENDPOINTS:
        raise ValueError(f"`endpoint` must be one of {ENDPOINTS}, got {endpoint!r}. Choose one.")
    if endpoint == "both":
        return outcomes(draws, endpoint="label") & outcomes(draws, endpoint="intensity")
    i = ENDPOINTS.index(endpoint)
    return draws.rank[i] < expit(draws.logit[i])[:, :, None, None]


def to_records(draws: Draws, *, run: str, profile: str) -> pd.DataFrame:
    """Write the predictions in the form of the records, as the release is read.

    Args:
        draws: from :func:`draw_predictions`.
        run: the run's name.
        profile: quick, standard or full.

    Returns:
        The record columns; arms ``config-0``..., seed 0, case is the patch, cluster the patient,
        group the pattern; metrics ``label_correct``, ``intensity_correct``, ``both_correct``
        (0 or 1).
    """
    right = np.stack([outcomes(draws, endpoint=endpoint) for endpoint in ENDPOINTS])
    n_configs, _, n_specimens, n_patches = right.shape[1:]
    patients = draws.patients
    index = pd.MultiIndex.from_product([range(n) for n in right.shape])
    metric, config, patient, specimen, patch = (np.asarray(codes) for codes in index.codes)
    cases = [
        f"{name}_s{s}_{k:02d}"
        for name in patients["patient"]
        for s in range(n_specimens)
        for k in range(n_patches)
    ]
    case = (patient * n_specimens + specimen) * n_patches + patch
    pattern = np.array(PATTERNS)[patients["label"]]
    arms = [f"config-{i}" for i in range(n_configs)]
    columns = {
        "paper": "hep2",
        "run": run,
        "profile": profile,
        "source": "phantom",
        "arm": np.array(arms)[config],
        "seed": 0,
        "fold": patients["fold"].to_numpy()[patient],
        "case": np.array(cases)[case],
        "cluster": patients["patient"].to_numpy()[patient],
        "group": pattern[patient],
        "metric": np.array([f"{endpoint}_correct" for endpoint in ENDPOINTS])[metric],
        "value": right.ravel().astype(np.float64),
    }
    return pd.DataFrame(columns)
