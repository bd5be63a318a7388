"""Phantom of scalp EEG during music: one recording a subject, stimulus and listen.

What tells the stimulus (a waveform that all subjects share), what tells the subject (mixing and
gains of the channels) and what tells the trial (its gains and drift) have dials of their own.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from common.datasets.cases import Case, Cases
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, stream
from common.phantoms.fields import Field

DATASET = "eeg-phantom"
RANGE = (-100.0, 100.0)
QUICK = {"n": 8, "stimuli": 5, "channels": 16, "fs": 64.0, "seconds": 48.0}
_MICROVOLT = 8.0  # one unit of background activity
_BAND = (1.0, 12.0)  # of the waveform (Hz)
_BEAT = (1.0, 0.25)  # beats a second of the first stimulus, and the step to the next

DIALS: tuple[Dial, ...] = (
    Dial(
        "shared",
        "1",
        0.25,
        0.0,
        2.0,
        "The response to a stimulus that all subjects have in common is stronger, relative to the "
        "background; at 0 nothing can be learned from other subjects.",
        "chosen: a response of 6 % of the background's power; the paper prints no signal level",
        null=0.0,
    ),
    Dial(
        "idiosyncratic",
        "1",
        0.5,
        0.0,
        2.0,
        "Each subject's own response to the same waveform, over another topography, is stronger.",
        "chosen: twice the shared response; the paper prints no signal level",
        null=0.0,
    ),
    Dial(
        "trial",
        "1",
        0.6,
        0.0,
        1.5,
        "Standard deviation of the log gain of each channel in each recording: a signature that "
        "lasts the whole recording and tells the stimulus only by leakage.",
        "chosen; the paper prints no gains",
        null=0.0,
    ),
    Dial(
        "drift",
        "share",
        0.3,
        0.0,
        1.0,
        "Standard deviation of the change of each channel's gain from the first to the last "
        "sample.",
        "chosen; the paper prints no drift",
        null=0.0,
    ),
    Dial(
        "subject",
        "1",
        0.5,
        0.0,
        1.5,
        "Subjects differ more in the mixing and the log gains of their channels.",
        "chosen; at 0 all heads are alike",
        null=0.0,
    ),
    Dial(
        "session",
        "1",
        0.3,
        0.0,
        1.5,
        "Log gain that all channels of a subject pick up from the first to the last recording of "
        "a session, in a direction that subjects share.",
        "chosen; impedances change during a session",
        null=0.0,
    ),
    Dial(
        "fixed_order",
        "share",
        0.0,
        0.0,
        1.0,
        "Share of subjects who are given the stimuli in one and the same order, so that the "
        "session's drift tells the stimulus.",
        "paper, Section 3.1: songs in random order (NMED-T); 1 is the fixed order of SEED's clips "
        "(from memory)",
        null=0.0,
    ),
    Dial(
        "crossing",
        "share",
        1.0,
        0.0,
        1.0,
        "Share of subjects who hear every stimulus; the others hear a single one, so that at 0 "
        "the stimulus can be told from the subject alone.",
        "paper, Sections 3.1 to 3.3: crossed in NMED-T and SEED; in NMED-H 16 stimuli x 12 "
        "listeners among 48 people leave each song of one version to people of its own",
        null=None,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    stimuli: int = 10,
    listens: int = 1,
    shared: float = 0.25,
    idiosyncratic: float = 0.5,
    trial: float = 0.6,
    drift: float = 0.3,
    subject: float = 0.5,
    session: float = 0.3,
    fixed_order: float = 0.0,
    crossing: float = 1.0,
) -> pd.DataFrame:
    """Draw the parameters of every recording; see :func:`phantom`.

    Returns:
        One row a recording: case, cluster (the subject), label (stimulus), listen, position
        (0 to 1 in the session), alpha (Hz), beat (Hz), dials, phantom_seed, subject_seed, seed.
    """
    rng = stream(seed, DATASET, "subjects")
    crossed = rng.permutation(n) < round(crossing * n)
    fixed = rng.permutation(n) < round(fixed_order * n)
    alpha, seeds = rng.uniform(8, 12, n), case_seeds(n, rng)
    rows = []
    for i in range(n):
        own = stream(seed, DATASET, "recordings", i)
        heard = np.arange(stimuli) if crossed[i] else np.array([i % stimuli])
        trials = [(k, r) for r in range(listens) for k in heard]
        order = np.arange(len(trials)) if fixed[i] else own.permutation(len(trials))
        for place, (k, r) in zip(order, trials, strict=True):
            rows.append(
                {
                    "case": f"subject-{i:02d}-stimulus-{k:02d}-listen-{r}",
                    "cluster": f"subject-{i:02d}",
                    "label": int(k),
                    "listen": r,
                    "position": place / max(1, len(trials) - 1),
                    "alpha": alpha[i],
                    "beat": _BEAT[0] + _BEAT[1] * int(k),
                    "subject_seed": seeds[i],
                    "seed": int(case_seeds(1, own)[0]),
                }
            )
    return pd.DataFrame(rows).assign(
        shared=shared,
        idiosyncratic=idiosyncratic,
        trial=trial,
        drift=drift,
        subject=subject,
        session=session,
        phantom_seed=seed,
    )


def render(
    row: Mapping[str, Any], *, channels: int = 125, fs: float = 125.0, seconds: float = 270.0
) -> Case:
    """Render one recording from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        channels: electrodes.
        fs: samples a second.
        seconds: length.

    Returns:
        The recording (channels, time) in microvolts; ``info`` holds the stimulus's ``waveform``
        (time,), its shared ``topography`` (channels,) and this subject's ``own_topography``.
    """
    gains, activity = np.random.default_rng(int(row["seed"])).spawn(2)
    stimulus, phantom_seed = int(row["label"]), int(row["phantom_seed"])
    samples = round(fs * seconds)
    wave = waveform(phantom_seed, stimulus, fs=fs, samples=samples)
    head = np.random.default_rng([int(row["subject_seed"]), channels])
    mixing = _mixing(channels, float(row["subject"]), phantom_seed, head)
    log_gain = row["trial"] * gains.standard_normal(channels)
    log_gain += row["session"] * row["position"] * _direction(phantom_seed, channels)
    ramp = np.linspace(0, 1, samples, dtype=np.float32)
    envelope = 1 + (row["drift"] * gains.standard_normal(channels))[:, None] * ramp
    noise = mixing @ _background(channels, samples, fs, float(row["alpha"]), activity)
    signal = np.exp(log_gain)[:, None] * envelope * noise
    topography = _topography(stream(phantom_seed, DATASET, "topography", stimulus), channels)
    own = _topography(np.random.default_rng([int(row["subject_seed"]), stimulus]), channels)
    response = row["shared"] * topography + row["idiosyncratic"] * own
    signal = _MICROVOLT * (signal + response[:, None] * wave)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=np.clip(signal, *RANGE).astype(np.float32),
        target={"label": stimulus},
        info={"waveform": wave, "topography": topography, "own_topography": own, "fs": fs},
    )


def waveform(phantom_seed: int, stimulus: int, *, fs: float, samples: int) -> Field:
    """Make the waveform that every subject follows while hearing a stimulus.

    Band-limited noise (1 to 12 Hz) plus a beat at 1 + 0.25 k Hz with its first harmonic, of equal
    power.

    Args:
        phantom_seed: seed of the phantom.
        stimulus: its number k.
        fs: samples a second, above 24.
        samples: length.

    Returns:
        (samples,) float32, mean 0, standard deviation 1.
    """
    rng = stream(phantom_seed, DATASET, "waveform", stimulus)
    sos = butter(3, _BAND, btype="bandpass", fs=fs, output="sos")
    noise = sosfiltfilt(sos, rng.standard_normal(samples))
    phase = 2 * np.pi * (_BEAT[0] + _BEAT[1] * stimulus) * np.arange(samples) / fs
    beat = np.cos(phase) + 0.5 * np.cos(2 * phase + rng.uniform(0, 2 * np.pi))
    total = noise / noise.std() + beat / beat.std()
    return ((total - total.mean()) / total.std()).astype(np.float32)


def _background(
    channels: int, samples: int, fs: float, alpha: float, rng: np.random.Generator
) -> Field:
    """Draw sources of pink noise, white noise and an alpha rhythm, of mean power 1.

    Their powers and shares of alpha differ, else no rotation of them could be seen.
    """
    frequency = np.fft.rfftfreq(samples, 1 / fs)
    pink = (frequency > 0) / np.maximum(frequency, 0.5)
    rhythm = np.exp(-(((frequency - alpha) / 0.5) ** 2))
    rank = np.linspace(0, 1, channels)[:, None]
    power = np.exp(-3 * rank) / np.exp(-3 * rank).mean()
    spectrum = 0.6 * pink / pink.sum() + 0.1 / len(frequency)
    shape = np.sqrt(power * (spectrum + 0.3 * 2 * rank * rhythm / rhythm.sum()))
    # random Fourier coefficients of that amplitude are Gaussian noise of that spectrum
    real, imaginary = rng.standard_normal((2, channels, len(frequency)), dtype=np.float32)
    drawn = np.fft.irfft((real + 1j * imaginary) * shape, samples, axis=1)
    return (drawn * samples / 2).astype(np.float32)


def _mixing(
    channels: int, subject: float, phantom_seed: int, head: np.random.Generator
) -> NDArray[np.float64]:
    """Turn sources into channels by a rotation, partly common to all, and log-normal gains."""
    common = stream(phantom_seed, DATASET, "head").standard_normal((channels, channels))
    blend = common + 2 * subject * head.standard_normal((channels, channels))
    turned, upper = np.linalg.qr(blend)
    turned *= np.sign(np.diag(upper))
    return np.exp(subject * head.standard_normal(channels))[:, None] * turned


def _direction(phantom_seed: int, channels: int) -> NDArray[np.float64]:
    """Give the change of log gains over a session, the same for every subject."""
    return stream(phantom_seed, DATASET, "session").standard_normal(channels)


def _topography(rng: np.random.Generator, channels: int) -> NDArray[np.float64]:
    """Draw weights of the electrodes with mean square 1."""
    weights = rng.standard_normal(channels)
    return weights / np.sqrt((weights**2).mean())


def phantom(
    n: int,
    seed: int,
    *,
    stimuli: int = 10,
    listens: int = 1,
    channels: int = 125,
    fs: float = 125.0,
    seconds: float = 270.0,
    shared: float = 0.25,
    idiosyncratic: float = 0.5,
    trial: float = 0.6,
    drift: float = 0.3,
    subject: float = 0.5,
    session: float = 0.3,
    fixed_order: float = 0.0,
    crossing: float = 1.0,
) -> Cases:
    """Make recordings of subjects who listen to stimuli.

    x(t) = g h (1 + d t) B n(t) + (a_sh A_k + a_su b_ik) s_k(t), for subject i and stimulus k:

    1. n: pink noise (60 % of the power), white noise (10 %), alpha rhythm (30 %) at the subject's
       own frequency from U(8, 12) Hz; sources of falling power and rising share of alpha; mean
       power 1, which is 8 microvolts;
    2. B: a rotation, common to all at ``subject`` = 0, with log-normal gains g;
    3. h: log-normal gains of the recording (``trial``), d: change of gain (``drift``); the log
       gain also moves by ``session`` times the place in the session, in a common direction;
    4. s_k: noise of 1 to 12 Hz plus a beat at 1 + 0.25 k Hz (tempo), the same for all subjects;
       A_k: the topography that they share, b_ik: the subject's own;
    5. a share ``crossing`` of the subjects hears all stimuli, the others stimulus i mod K alone;
       stimuli come in random order but for a share ``fixed_order``.

    Printed designs: NMED-T 20 subjects x 10 songs x 1, SEED 15 x 15 clips, both crossed;
    NMED-H 12 listeners of each of 4 songs, 2 listens, nothing crossed.

    Args:
        n: subjects; each has ``stimuli`` x ``listens`` recordings, or ``listens`` if not crossed.
        seed: seed of the phantom.
        stimuli: number of songs or clips, the classes.
        listens: times that a subject hears each of them.
        channels: electrodes (printed: 125; SEED 62).
        fs: samples a second (printed: 125; SEED 200).
        seconds: length of a recording (songs of about 270 s from memory; SEED's clips 240 s).
        shared: see :data:`DIALS`.
        idiosyncratic: see :data:`DIALS`.
        trial: see :data:`DIALS`.
        drift: see :data:`DIALS`.
        subject: see :data:`DIALS`.
        session: see :data:`DIALS`.
        fixed_order: see :data:`DIALS`.
        crossing: see :data:`DIALS`.

    Returns:
        Cases with image (channels, time) in microvolts and target label (stimulus).

    Raises:
        ValueError: a dial is outside its range, there are fewer than 2 stimuli, no listen, fewer
            than 2 channels, or samples are too rare or too few.
    """
    dials = {
        "shared": shared,
        "idiosyncratic": idiosyncratic,
        "trial": trial,
        "drift": drift,
        "subject": subject,
        "session": session,
        "fixed_order": fixed_order,
        "crossing": crossing,
    }
    check(DIALS, dials)
    for name, value, least in (
        ("stimuli", stimuli, 2),
        ("listens", listens, 1),
        ("channels", channels, 2),
        ("fs", fs, 32),
        ("seconds", seconds, 4),
    ):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value!r}. Raise it.")
    table = draw(n, seed, stimuli=stimuli, listens=listens, **dials)
    return Cases(table, partial(render, channels=channels, fs=fs, seconds=seconds))
