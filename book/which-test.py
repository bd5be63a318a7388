# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which test, and why
#
# Two methods are scored on the same images and their means differ.
# Would the difference be there again with other patients, and with another training run?
# The answer depends less on the name of the test than on what is counted as one observation.
#
# This page shows every family of tests that the chapters use, each on a small example with known truth.
# All its numbers and figures come from the cells beside them; [the last section](#run-this-page-yourself) says how to change them.

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from scipy import stats

from common import comparison_figures, display, figures
from common.comparison_figures import results_forest, results_table
from common.statistics import dependence
from common.validation import simulate

# %% [markdown]
# ## Patches are not patients
#
# Suppose that $m$ patches are cut from each of $k$ patients.
# Patches of one patient share the staining, the scanner and the disease, so a method that fails on one of them tends to fail on the others.
# The **intraclass correlation** $\rho$ measures how alike they are: 0 when patches of a patient are no more alike than patches of strangers, 1 when a patient's patches are all right or all wrong together.
#
# The variance of a mean over all $n = km$ patches is then larger than for $n$ independent cases, by the **design effect**
#
# $$
# D = 1 + (m - 1)\,\rho ,
# \qquad
# n_{\text{effective}} = \frac{n}{D} .
# $$
#
# Take 250 patients with 60 patches each and $\rho = 0.5$:

# %%
D = dependence.design_effect(0.5, 60)
worth = dependence.effective_n(250 * 60, D)
print(f"design effect {D}")
print(f"{250 * 60} patches are worth {worth:.0f} independent ones")
print(f"a naive standard error is {np.sqrt(D):.1f} times too small")

# %% [markdown]
# A test that treats patches as independent divides by that small standard error, and calls noise significant.
#
# Watch it happen.
# In each study below two methods are *equally good*, but each has its own luck with each of 30 patients.
# Let $s_p$ be the number of patches of patient $p$ that only the first method gets right, minus the number that only the second does; on $d$ patches in all exactly one of them is right.
# McNemar's test counts patches, the clustered test counts patients:
#
# $$
# z_{\text{patches}} = \frac{\sum_p s_p}{\sqrt{d}} ,
# \qquad
# z_{\text{patients}} = \frac{\sum_p s_p}{\sqrt{\sum_p s_p^2}} .
# $$

# %%
rng = np.random.default_rng(1)


def null_z(luck, studies=400, patients=30, patches=60):
    """Test two equally good methods; a share of their luck is patients'."""
    own = rng.normal(size=(studies, patients, 1, 2))
    rest = rng.normal(size=(studies, patients, patches, 2))
    right = np.sqrt(luck) * own + np.sqrt(1 - luck) * rest < 0.84
    s = right[..., 0].astype(int) - right[..., 1]
    s_p, d = s.sum(axis=2), np.abs(s).sum(axis=(1, 2))
    total = s_p.sum(axis=1)
    return total / np.sqrt(d), total / np.sqrt((s_p**2).sum(axis=1))


# %% [markdown]
# The share of a method's luck that belongs to patients is turned up from 0 to 0.4.
# A valid test at level 0.05 rejects one study in twenty.

# %%
found = []
for luck in (0, 0.05, 0.1, 0.2, 0.4):
    both = zip(("patches", "patients"), null_z(luck), strict=True)
    for unit, z in both:
        rate = (np.abs(z) > 1.96).mean()
        mc_se = np.sqrt(rate * (1 - rate) / len(z))
        found.append((f"counting {unit}", luck, rate, mc_se))
found = pd.DataFrame(found, columns=["test", "luck", "rate", "mc_se"])
print(found.pivot(index="test", columns="luck", values="rate").round(2))

# %% tags=["hide-input"]
display.describe(
    comparison_figures.calibration(
        found, x="luck", label_x="share of luck that belongs to patients"
    ),
    alt="Rejection rates of two tests in studies without an effect, over "
    "the share of luck that belongs to patients: the test that counts "
    "patches climbs far above the shaded band, the test that counts "
    "patients stays near 5 percent.",
    caption="Studies that reject although there is nothing to find. "
    "Dashed: the promised 5 %; shaded: 3.5 to 6.5 %; bars: Monte-Carlo "
    "error of 400 studies.",
)

# %% [markdown]
# The remedy is to let the **cluster**, here the patient, be the unit that the test resamples, flips or sums over.
# The two formulas agree where each patient contributes one case, because then $\sum_p s_p^2 = d$.
#
# ## What varies, and what the test must therefore cover
#
# A difference between two trained networks mixes several kinds of chance.
#
# | what varies | question it answers | seen by |
# |---|---|---|
# | the patients in the test set | would other patients give the same order? | clusters |
# | the training run: initial weights, batch order | would training again give the same order? | seeds |
# | the training set | would other training patients give the same order? | folds, with a correction |
#
# A test on the outputs of one training run covers the first line only.
# It can say which of two *networks* is better for such patients; it cannot say which of two *methods* is.
# Claims are about methods, which is why a replication trains every arm with several seeds.
#
# ## Find your test
#
# Four questions lead from an experiment to its test.
#
# ::::{grid} 1 2 2 2
# :gutter: 2
#
# :::{grid-item-card} 1. What is one outcome?
# Right or wrong, a score, a curve over thresholds, a reader's value, or a printed number.
# :::
#
# :::{grid-item-card} 2. What is independent?
# The largest thing that another study would have drawn anew: a patient, a scan, a fold, a training run.
# :::
#
# :::{grid-item-card} 3. How many methods?
# One against a value, two against each other, or several at once.
# :::
#
# :::{grid-item-card} 4. What is claimed?
# A difference, an order, equality, or "no worse"; the last two need a margin.
# :::
#
# ::::
#
# The tables name the function with its module of `common.statistics` and, in bold, the test's name in `paper.yml`.
# *Reaches 0.05* says how many units it takes before p can fall below 0.05 at all; *holds 5 %* from how many on the test was [measured](#are-these-tests-right) to reject no more than 6.5 % of studies without an effect, and how many it takes where differences are skewed because one method fails rarely but badly.
# The same function with one method's scores minus a value tests one method against that value.

# %% tags=["remove-input"]
from common.site import guide

guide.table(
    "right or wrong", caption="Two methods, right or wrong on each case."
)

# %% tags=["remove-input"]
guide.table("scores", caption="Two methods, a score for each case.")

# %% tags=["remove-input"]
guide.table("curves", caption="Two methods, a curve over thresholds.")

# %% tags=["remove-input"]
guide.table("several methods", caption="Several methods, or several folds.")

# %% [markdown]
# **Other questions**
#
# | question | function | in `paper.yml` |
# |---|---|---|
# | no worse, or the same? | `equivalence.non_inferiority`, `equivalence.equivalence` | direction and margin, with a test of two methods |
# | do readers agree? | `agreement.bland_altman`, `agreement.rater_icc`, `agreement.cohens_kappa` | |
# | how large, without a unit? | `effect_sizes.cohens_d_z`, `effect_sizes.rank_biserial`, `dominance.cliffs_delta` | |
# | what could this design find? | `power.smallest_effect`, `reach.reach` | named in every verdict |
# | what does the printed table say? | `published.false_ordering_curve` | layer `published` |
# | do printed numbers fit each other? | `audit.check_printed`, `counts.denominators`, `rates.confusion_matrices` | |
#
# ## Right or wrong
#
# Each case is classified correctly or not, by two methods.
# Here are 40 patients with a dozen cases on average; the first method is truly five points better.

# %%
rng = np.random.default_rng(2)
answers = simulate.draw(
    simulate.Scenario("binary", 40, icc=0.3, mean_size=12, effect=0.05),
    rng,
)
first, second = answers.scores[0].T
patient = answers.cluster
print(f"{len(first)} cases, right: {first.mean():.3f}, {second.mean():.3f}")

# %% [markdown]
# McNemar's test looks at the cases on which the methods disagree and asks whether they split evenly {cite:p}`mcnemar1947note`.
# With several cases a patient the split is uneven by luck alone, so patients take the place of cases {cite:p}`obuchowski1998clustered,durkalski2003clustered`.

# %%
from common.statistics import proportions

clustered = proportions.mcnemar_clustered
right_or_wrong = {
    "cases taken for independent": proportions.mcnemar(first, second),
    "clustered": clustered(first, second, patient),
    "clustered, patients counting equally": clustered(
        first, second, patient, method="durkalski"
    ),
}
results_table(
    right_or_wrong, caption="McNemar's test of one pair of accuracies."
)

# %% tags=["hide-input"]
display.describe(
    results_forest(right_or_wrong, label="difference in accuracy (points)"),
    alt="Three intervals of one difference in accuracy; the one of the "
    "plain test is the narrowest, those of the two clustered tests are "
    "wider.",
    caption="First minus second with 95 % intervals. The first interval "
    "is too narrow: it believes in more independent cases than there are "
    "patients.",
)

# %% [markdown]
# A clustered interval holds the differences that its test does not reject, so test and interval never disagree.
# The last row estimates something else, a mean over patients in place of cases; decide beforehand which of the two the claim is about.
# Both clustered tests rest on a normal law for a sum over patients: below some 20 patients that differ, take sign flips instead.
#
# ## A score for each case
#
# Dice scores, distances and errors are numbers, and rarely normal: a failed segmentation scores 0.
# The next two methods differ by 0.03 in Dice on 24 patients; one case in twenty fails.

# %%
rng = np.random.default_rng(3)
overlap = simulate.draw(
    simulate.Scenario("dice", 24, icc=0.3, effect=0.03), rng
)
difference = overlap.scores[0, :, 0] - overlap.scores[0, :, 1]
patient = overlap.cluster
sums, sizes = np.bincount(patient, difference), np.bincount(patient)
print(f"{len(difference)} cases, mean difference {difference.mean():+.4f}")

# %% [markdown]
# **Sign flips.** If neither method is better, a patient's differences might as well have come with the other sign.
# Flipping whole patients at random shows which mean differences chance alone produces:
#
# $$
# \bar d^{\,*} = \frac{1}{n} \sum_p \epsilon_p s_p ,
# \qquad \epsilon_p = \pm 1 .
# $$

# %%
from common.statistics import paired

epsilon = rng.choice([-1, 1], size=(10_000, len(sums)))
flipped = epsilon @ sums / len(difference)
flips = paired.sign_flip(difference, cluster=patient, rng=rng)
print(f"p {flips.p:.3f}, interval {flips.low:+.3f} to {flips.high:+.3f}")

# %% tags=["hide-input"]
display.describe(
    comparison_figures.resamples(
        100 * flipped,
        observed=100 * flips.effect,
        extreme=True,
        what="flips",
        label="mean difference in Dice (points)",
    ),
    alt="Histogram of mean differences after random sign flips of "
    "patients, centred on 0, with the observed difference as a line and "
    "the tails beyond it coloured.",
    caption="What chance alone does to the mean difference. The coloured "
    "share is the p-value, up to the luck of the drawn signs.",
)

# %% [markdown]
# The test keeps its level with any number of patients and any distribution of scores, as long as differences are symmetric around 0 when there is no effect.
#
# **Signed ranks.** Wilcoxon's test flips signs too, but of ranks, so that one failed case weighs no more than its rank {cite:p}`wilcoxon1945individual`.
# Its estimate is the Hodges-Lehmann shift, the median of all pairwise means $(d_i + d_j)/2$ {cite:p}`hodges1963estimates`.
# It answers another question than a difference of means does: how far a *typical* case shifts.

# %%
means = sums / sizes
pairs = np.add.outer(means, means)[np.triu_indices(len(means))] / 2
ranks = paired.wilcoxon(means)
print(f"median of pairwise means {np.median(pairs):+.4f}")
print(f"Hodges-Lehmann shift     {ranks.effect:+.4f}")

# %% tags=["hide-input"]
display.describe(
    comparison_figures.resamples(
        100 * pairs,
        observed=100 * ranks.effect,
        interval=(100 * ranks.low, 100 * ranks.high),
        what="pairs",
        label="mean of two patients' differences in Dice (points)",
    ),
    alt="Histogram of pairwise means of patients' differences with their "
    "median as a line and the interval of the shift as a bar.",
    caption="All pairwise means. The line is their median, the shift; the "
    "bar its 95 % interval.",
)

# %% [markdown]
# These are ranks of patients' means; a clustered form ranks the cases and flips the patients {cite:p}`rosner2006wilcoxon`.
#
# **Bootstrap.** Draw patients with replacement, take the mean, repeat {cite:p}`efron1993bootstrap`.
# The replicates give an interval in several ways: their percentiles, percentiles corrected for bias and skewness (BCa), or percentiles of a t statistic (studentised).

# %%
from common.statistics import bootstrap

boot = {
    method: bootstrap.cluster_bootstrap(
        difference, cluster=patient, rng=rng, method=method
    )
    for method in ("percentile", "bca", "studentised")
}

# %% tags=["hide-input"]
one = boot["percentile"]
ends = one.interval()
display.describe(
    comparison_figures.resamples(
        100 * one.replicates,
        observed=100 * one.effect,
        interval=(100 * ends.low, 100 * ends.high),
        label="mean difference in Dice (points)",
    ),
    alt="Histogram of bootstrap means around the observed difference with "
    "the percentile interval as a bar.",
    caption="Means of resampled patients. The bar spans their 2.5 and "
    "97.5 percentiles.",
)

# %% [markdown]
# All of them side by side:

# %%
from common.statistics.signed_rank_clustered import signed_rank_clustered

scores = {
    "sign flips": flips,
    "signed ranks of patients' means": ranks,
    "signed ranks, clustered": signed_rank_clustered(
        difference, patient, rng=rng
    ),
}
scores |= {f"bootstrap, {name}": each for name, each in boot.items()}
results_table(scores, caption="One difference in Dice under six tests.")

# %% tags=["hide-input"]
display.describe(
    results_forest(scores, label="difference in Dice (points)"),
    alt="Six intervals of one difference in Dice; those of signed ranks "
    "estimate a shift, the others the mean.",
    caption="Estimates with 95 % intervals. The rank tests estimate the "
    "shift of a typical case, the others the mean with its failures.",
)

# %% [markdown]
# With few patients a bootstrap's interval is too short, because it knows only the spread that it has seen, and rare failures are seen by luck alone.
# How many are enough is measured [below](#are-these-tests-right), and they are more than is often thought.
#
# ## Folds overlap
#
# In $k$-fold cross-validation any two training sets share most of their cases, so the $k$ differences are not independent and a plain t test is too sure of itself.
# The corrected t widens the variance of the mean difference $\bar d$ from $1/k$ to $1/k$ plus the ratio of test to training size {cite:p}`nadeau2003inference`:
#
# $$
# t = \frac{\bar d}{\sqrt{\left(\dfrac{1}{k} + \dfrac{n_{\text{test}}}{n_{\text{train}}}\right) s_d^2}} ,
# \qquad \text{with } k - 1 \text{ degrees of freedom.}
# $$

# %%
from common.statistics import folds

of_fold = np.array([0.031, 0.012, 0.044, 0.008, 0.027])
five_folds = {
    "t, overlap ignored": paired.paired_t(of_fold),
    "corrected t": folds.corrected_t(of_fold, test_train_ratio=1 / 4),
}
results_table(five_folds, caption="Mean difference over five folds.")

# %% tags=["hide-input"]
display.describe(
    results_forest(five_folds, label="difference (points)"),
    alt="Two intervals around one mean; the corrected one is half as wide "
    "again.",
    caption="The same five differences, once taken for independent and "
    "once not.",
)

# %% [markdown]
# The widening is the same for every study: with five folds a factor $\sqrt{(1/5 + 1/4)\,/\,(1/5)} = 1.5$.
# Where a fold holds several cases of a patient, `corrected_t_clustered` takes means of patients first.
#
# ## Would training again give the same order?
#
# Train both methods with several seeds and test them on the same patients.
# The difference $d_{ps}$ then varies with the patient and with the seed, and both are samples of what could have been:
#
# $$
# d_{ps} = \mu + a_p + b_s + e_{ps} ,
# \qquad
# \operatorname{Var}(\bar d) = \frac{\sigma_a^2}{n_p} + \frac{\sigma_b^2}{n_s} + \frac{\sigma_e^2}{n_p n_s} .
# $$
#
# More patients do not reduce the middle term.

# %%
rng = np.random.default_rng(4)
study = simulate.Scenario(
    "dice", 60, icc=0.2, n_seeds=5, seed_share=0.02, effect=0.02
)
again = simulate.draw(study, rng)
d = again.scores[:, :, 0] - again.scores[:, :, 1]
sums = np.array([np.bincount(again.cluster, each) for each in d])
d_ps = (sums / np.bincount(again.cluster)).T
print("mean difference by seed:", d_ps.mean(axis=0).round(3))

# %%
retraining = {
    "one seed, t over patients": paired.paired_t(d_ps[:, 0]),
    "seeds averaged, t over patients": paired.paired_t(d_ps.mean(axis=1)),
    "patients and seeds, crossed t": paired.crossed_t(d_ps),
    "patients and seeds, bootstrap": bootstrap.crossed(d_ps, rng=rng),
}
results_table(retraining, caption="Four ideas of what could have been.")

# %% tags=["hide-input"]
display.describe(
    results_forest(retraining, label="difference in Dice (points)"),
    alt="Four intervals: those over patients alone are narrower than the "
    "crossed t and the crossed bootstrap over patients and seeds.",
    caption="The first two rows speak of these networks, the last two of "
    "the method that made them.",
)

# %% [markdown]
# The crossed t uses Satterthwaite's degrees of freedom.
# The crossed bootstrap draws patients and seeds {cite:p}`owen2007pigeonhole`; with few seeds it is too narrow, for the reason that any bootstrap of few units is.
#
# Where every seed is trained on several tasks of its own, such as eight organs, a single failed training can move a mean more than the methods do.
# The **interquartile mean** averages the middle half of all runs, and the **probability of improvement** asks how often a run of the first method beats one of the second {cite:p}`agarwal2021precipice`.
# Runs are drawn inside each task.

# %%
from common.statistics import seeds

rng = np.random.default_rng(14)
organ = rng.uniform(0.6, 0.9, size=8)
first = organ + 0.01 + rng.normal(0, 0.02, size=(6, 8))
second = organ + rng.normal(0, 0.02, size=(6, 8))
first[2, 3] = 0.05  # one training collapsed
better = seeds.probability_of_improvement_inference(first, second, rng=rng)
ends = better.interval()
print(f"P(improvement) {better.effect:.3f}, 0.5 would be alike")
print(f"interval {ends.low:.3f} to {ends.high:.3f}")
print(f"p {display.p_value(better.p(0.5))}")


# %%
def mean_difference(a, b):
    """Subtract means of stacks of tables."""
    return a.mean(axis=(1, 2)) - b.mean(axis=(1, 2))


runs = {
    "mean": seeds.bootstrap_seeds(mean_difference, first, second, rng=rng),
    "interquartile mean": seeds.interquartile_mean_difference(
        first, second, rng=rng
    ),
}
results_table(runs, caption="Six seeds on eight organs, one run failed.")

# %% tags=["hide-input"]
display.describe(
    results_forest(runs, label="difference in Dice (points)"),
    alt="Two intervals: that of the mean is wide because of one failed "
    "run, that of the interquartile mean is narrow.",
    caption="Differences with 95 % intervals. Whether a failure should "
    "count is a question to the claim, not to the data.",
)

# %% [markdown]
# ## A high p is not a proof of equality
#
# A test that finds no difference may simply be unable to see one.
# To support "the two are the same", state beforehand the smallest difference that would matter, $\delta$, and show that the difference lies inside $(-\delta, \delta)$: two one-sided tests, one against each end {cite:p}`schuirmann1987comparison`.
# This is the same as asking whether the 90 % interval lies inside the margin.
# "No worse than" needs the lower end alone.

# %%
from common.statistics import equivalence

rng, margin = np.random.default_rng(5), 0.01
equality = {}
for n in (12, 60):
    seen = paired.paired_t_inference(rng.normal(0.002, 0.02, size=n))
    equality |= {
        f"{n} patients: within one point?": equivalence.equivalence(
            seen, margin, n_clusters=n
        ),
        f"{n} patients: at most one point worse?": (
            equivalence.non_inferiority(seen, margin, n_clusters=n)
        ),
    }
    print(f"{n} patients: p of no difference {seen.p():.3f}")

# %%
results_table(
    equality, caption="Two questions about a margin.", level="90 %"
)

# %% tags=["hide-input"]
inside = {name: each for name, each in equality.items() if "within" in name}
display.describe(
    results_forest(inside, label="difference (points)", margin=margin),
    alt="Two 90 percent intervals against a shaded margin of one point "
    "either side of 0: the one of 12 patients reaches beyond it, the one "
    "of 60 patients lies inside.",
    caption="90 % intervals and the margin (shaded). Equivalence is shown "
    "where the whole interval lies inside.",
)

# %% [markdown]
# Neither study finds a difference; only the larger one shows that there is none that matters.
# Both functions take any estimate of this page, clustered ones included: the object that gives the interval also gives the one-sided tests.
#
# ## Areas under curves
#
# A classifier that gives a probability is judged at all thresholds at once by the area under its ROC curve, the chance that a positive case outscores a negative one.
# Two areas on the same cases are correlated; DeLong's test estimates that correlation from the ranks {cite:p}`delong1988comparing`, and its clustered form sums them over patients first {cite:p}`obuchowski1997nonparametric`.

# %%
rng = np.random.default_rng(6)
patient = np.repeat(np.arange(40), 6)
malignant = rng.random(240) < rng.beta(1, 2, size=40)[patient]


def classifier(gain):
    """Score lesions; patients are lucky or unlucky with a classifier."""
    luck = 1.2 * rng.normal(size=40)[patient]
    return gain * malignant + luck + rng.normal(size=240)


network, radiomics = classifier(2.4), classifier(1.2)

# %%
from common.statistics import auc

areas = {
    "DeLong, lesions independent": auc.auc_delong(
        network, radiomics, malignant
    ),
    "DeLong, clustered by patient": auc.auc_clustered(
        network, radiomics, malignant, patient
    ),
}
results_table(areas, caption="Difference of two areas under ROC curves.")

# %% tags=["hide-input"]
curves, area = {}, {}
for name, score in {"network": network, "radiomics": radiomics}.items():
    order = np.argsort(-score)
    steps = malignant[order], ~malignant[order]
    true, false = (
        np.append(0, np.cumsum(each) / each.sum()) for each in steps
    )
    ends = auc.auc_interval(score, malignant, cluster=patient)
    curves[name] = false, true
    area[name] = auc.auc(score, malignant), ends.low, ends.high
display.describe(
    comparison_figures.roc(curves, area),
    alt="ROC curves of two classifiers above the diagonal, with areas and "
    "intervals.",
    caption="Two classifiers on the same lesions. Areas with 95 % "
    "intervals that count patients.",
)

# %% [markdown]
# A detector marks lesions and raises false alarms.
# The free-response curve gives the sensitivity at a number of false positives a scan, and its mean over seven rates from 1/8 to 8 is the **CPM** {cite:p}`setio2017luna`.
# Scans are drawn whole, with all their candidates, the same scans for both detectors.

# %%
from common.statistics import froc

rng = np.random.default_rng(7)
every, n_lesions = np.arange(40), rng.poisson(1.5, size=40)
alarms = np.repeat(every, 12)
scan = np.concatenate([np.repeat(every, n_lesions), alarms])
number = np.concatenate([np.arange(n) for n in n_lesions])
lesion = np.concatenate([number, -np.ones_like(alarms)])


def detector(skill):
    """Score lesions and false alarms of every scan."""
    score = rng.normal(np.where(lesion >= 0, skill, 0))
    return froc.Detections(score, scan, lesion, n_lesions)


# %%
new, old = detector(2.2), detector(1.7)
print(f"CPM {froc.cpm(new):.3f} and {froc.cpm(old):.3f}")
results_table(
    {"bootstrap of scans": froc.cpm_test(new, old, rng=rng)},
    caption="Difference in CPM on 40 scans.",
)

# %% tags=["hide-input"]
points, bands = np.geomspace(0.125, 8, 19), {}
for name, each in {"new": new, "old": old}.items():
    drawn = froc.froc_bootstrap(each, fp_rates=points, rng=rng)
    ends = [one.interval() for one in drawn.sensitivities]
    bands[name] = (
        points,
        [one.effect for one in drawn.sensitivities],
        [each.low for each in ends],
        [each.high for each in ends],
    )
display.describe(
    comparison_figures.froc(bands),
    alt="Sensitivity of two detectors over false positives a scan with "
    "overlapping bands.",
    caption="Two detectors on the same scans. Marks: the seven rates that "
    "CPM averages; bands: 95 % intervals of each sensitivity. Whether "
    "bands overlap does not settle the difference; the paired bootstrap "
    "does.",
)

# %% [markdown]
# ## More than two methods
#
# Rank the methods inside each block, be it a patient, a fold or a data set, and average the ranks.
# Friedman's test asks whether any method differs; the critical difference says which pairs do {cite:p}`demsar2006statistical`.

# %%
from common.statistics import posthoc, ranking

rng = np.random.default_rng(8)
methods = ["U-Net", "nnU-Net", "UNETR", "DeepLab", "FCN"]
skill = np.array([0.015, 0.03, 0.01, 0.0, -0.02])
hard = rng.normal(0, 0.05, size=(14, 1))
dice = 0.8 + hard + skill + rng.normal(0, 0.02, size=(14, 5))
found = ranking.friedman(-dice)
cd = ranking.nemenyi_critical_difference(len(methods), len(dice))
print(f"14 data sets, Friedman p {display.p_value(found.p)}")
print(f"critical difference {cd:.2f} ranks")

# %% tags=["hide-input"]
groups = posthoc.critical_difference_groups(found.ranks, cd)
display.describe(
    comparison_figures.critical_difference(
        dict(zip(methods, found.ranks, strict=True)),
        [[methods[i] for i in group] for group in groups],
        difference=cd,
    ),
    alt="Mean ranks of five methods on an axis from 1 to 5; bars join the "
    "methods that lie less than the critical difference apart.",
    caption="Mean ranks over 14 data sets. Methods under one bar are not "
    "told apart.",
)

# %% [markdown]
# A bar is not a proof of equality, only a lack of evidence.
# Pairs can also be tested one by one, with Holm's correction, or each method against one control.
#
# How firm is the ranking itself?
# Drawing the data sets anew shows how often each method would have come first, second and so on {cite:p}`wiesenfarth2021methods`.

# %%
firm = ranking.rank_stability(dice, rng=rng)
shares = pd.DataFrame(100 * firm.shares, index=methods)
shares.columns = [f"place {i + 1}" for i in shares.columns]
display.table(
    shares.rename_axis("method"),
    caption="How often each method takes each place (% of resamples).",
    digits=0,
)

# %% [markdown]
# ## Do two readers, or two methods, agree?
#
# Agreement is not correlation: two methods that differ by a constant correlate perfectly.
# Bland and Altman draw the difference over the mean and ask between which limits 95 % of the differences lie {cite:p}`bland1986statistical`.
# The limits are estimates, so they have intervals too.

# %%
from common.statistics import agreement

rng = np.random.default_rng(9)
volume = rng.lognormal(3.5, 0.4, size=45)
reader = volume + rng.normal(0, 2.5, size=45)
network = volume + rng.normal(1.5, 3.0, size=45)
agree = agreement.bland_altman(network - reader)
print(f"bias {agree.bias:+.2f} ml")
print(f"limits {agree.lower:+.2f} and {agree.upper:+.2f} ml")

# %% tags=["hide-input"]
lines = {
    name: (value, ends.low, ends.high)
    for name, value, ends in (
        ("upper limit", agree.upper, agree.upper_interval),
        ("bias", agree.bias, agree.bias_interval),
        ("lower limit", agree.lower, agree.lower_interval),
    )
}
display.describe(
    comparison_figures.bland_altman(
        (network + reader) / 2,
        network - reader,
        lines,
        label_x="mean of both (ml)",
        label_y="network − reader (ml)",
    ),
    alt="Differences of two volumes over their means with the bias and "
    "two limits of agreement, each with a band for its interval.",
    caption="Bias and limits of agreement with their 95 % intervals "
    "(shaded).",
)

# %% [markdown]
# Whether limits this wide are good enough is a clinical question, to be answered before the study.
#
# The intraclass correlation of raters compares the spread between subjects with the spread between ratings {cite:p}`shrout1979intraclass`.
# Cohen's kappa does the like for categories, and takes off what chance alone would agree on {cite:p}`cohen1960coefficient`.

# %%
ratings = np.column_stack([reader, network])
grade = [np.digitize(each, [25, 40]) for each in (reader, network)]
kappa = agreement.cohens_kappa
how_alike = {
    "ICC(2,1), absolute agreement": agreement.rater_icc(ratings),
    "ICC(3,1), consistency": agreement.rater_icc(ratings, form="3,1"),
    "kappa of three grades": kappa(*grade),
    "kappa, linear weights": kappa(*grade, weights="linear"),
}
results_table(how_alike, caption="Network and reader.", unit="")

# %% tags=["hide-input"]
display.describe(
    results_forest(how_alike, label="agreement (1 = perfect)", scale=1),
    alt="Four coefficients of agreement with intervals; both ICCs are "
    "close to 1, kappa is lower.",
    caption="The same pairs of volumes, as numbers and cut into three "
    "grades.",
)

# %% [markdown]
# An ICC is high wherever subjects differ much, whatever the disagreement in millilitres; it says little without the limits beside it.
#
# ## Effect sizes without a unit
#
# A difference in the metric's own unit is the first thing to report, since only it can be compared with a margin.
# Where studies with different metrics are set side by side, an effect without a unit helps.
# Each answers a question of its own: how large is the mean against the spread, how far do ranks favour one side, how often is one value above the other.

# %%
from common.statistics import dominance, effect_sizes

rng = np.random.default_rng(10)
clusters = {"cluster": overlap.cluster, "rng": rng}
pair = {"cluster": (overlap.cluster, overlap.cluster), "rng": rng}
unitless = {
    "Cohen's d": effect_sizes.cohens_d_z(difference, **clusters),
    "rank-biserial": effect_sizes.rank_biserial(difference, **clusters),
    "Cliff's delta": dominance.cliffs_delta(*overlap.scores[0].T, **pair),
}
results_table(unitless, caption="The Dice scores from above.", unit="")

# %% tags=["hide-input"]
display.describe(
    results_forest(unitless, label="effect without a unit", scale=1),
    alt="Three effect sizes with intervals on one axis.",
    caption="Three questions to the same scores; the numbers cannot be "
    "compared with each other.",
)

# %% [markdown]
# ## Many claims, one error budget
#
# With six configurations there are 15 pairs; if none differed, 15 tests at 0.05 would still call 0.75 pairs "significant" on average.
# Holm's procedure {cite:p}`holm1979simple` multiplies the smallest p by the number of tests, the next by one less, and so on, and keeps the chance of *any* false finding in a family at 0.05.
# Benjamini and Hochberg's {cite:p}`benjamini1995controlling` keeps the expected *share* of false findings among all findings there, which is a weaker promise.

# %%
from common.statistics import multiplicity

rng = np.random.default_rng(11)
truly = np.repeat([0.0, 3.2], [9, 6])
families = 2 * stats.norm.sf(np.abs(rng.normal(truly, size=(500, 15))))
kept = {}
for name in ("none", "fdr_bh", "holm"):
    adjusted = [multiplicity.adjust(p, method=name) for p in families]
    false, true = np.split(np.array(adjusted) < 0.05, [9], axis=1)
    n_false, n_true = false.sum(axis=1), true.sum(axis=1)
    share = n_false / np.maximum(n_false + n_true, 1)
    kept[name] = [(n_false > 0).mean(), share.mean(), n_true.mean() / 6]

# %% tags=["hide-input"]
kept = 100 * pd.DataFrame(kept).T
kept.columns = ["any false finding", "false share", "effects found"]
kept.index = ["no correction", "Benjamini-Hochberg", "Holm"]
display.table(
    kept.rename_axis("correction"),
    caption="500 families of 15 tests, 9 of them without an effect (%).",
    digits=1,
)

# %% tags=["hide-input"]
display.describe(
    comparison_figures.ordered_p_values(families[0]),
    alt="Fifteen sorted p-values on a log scale under three bounds: a "
    "level line at 0.05, the rising bound of Benjamini and Hochberg and "
    "below it that of Holm.",
    caption="The first family, sorted. Holm rejects from the left until "
    "the first p-value lies above its bound; Benjamini-Hochberg up to the "
    "last that lies below its own.",
)

# %% [markdown]
# The families are declared in a chapter's `paper.yml` before the run.
#
# ## What a design can find
#
# Before a study, ask what it could find.
# The power of a test is the chance that it rejects, given the size of the true effect.

# %%
from common.statistics.power_folds import crossed_plan

effects, power_of = np.linspace(0, 0.05, 26), {}
for n_clusters, n_seeds in ((30, 3), (120, 3), (30, 10), (120, 10)):
    plan = crossed_plan(
        sd_cluster=0.05,
        sd_seed=0.015,
        sd_residual=0.05,
        n_clusters=n_clusters,
        n_seeds=n_seeds,
    )
    name = f"{n_clusters} patients, {n_seeds} seeds"
    power_of[name] = [plan.power(effect) for effect in effects]
    print(f"{name}: finds {100 * plan.smallest_effect():.1f} points")

# %% tags=["hide-input"]
display.describe(
    comparison_figures.power_curves(
        100 * effects, power_of, label="true effect (points)"
    ),
    alt="Power over the true effect for four designs of patients and "
    "seeds; more seeds lift the curve more than more patients do.",
    caption="Power of the crossed t test. Dashed: the 80 % that is "
    "usually asked for.",
)

# %% [markdown]
# With three seeds, four times as many patients help little: the spread between trainings is what is not known.
#
# Some designs cannot reject at all.
# A permutation test with few units has few arrangements, and p is never below the share of one of them.

# %%
from common.statistics import reach

units = np.arange(2, 13)
smallest = {
    "sign flips, signed ranks": [
        reach.reach("sign_flip_clustered", n_clusters=n) for n in units
    ],
    "clustered McNemar": [
        reach.reach("mcnemar_clustered", n_clusters=n) for n in units
    ],
    "Friedman, 3 methods": [
        reach.reach("friedman_clustered", n_clusters=n, n_arms=3)
        for n in units
    ],
}

# %% tags=["hide-input"]
display.describe(
    comparison_figures.reach(units, smallest, label="independent units"),
    alt="Smallest possible p-value of three tests over the number of "
    "units, falling on a log scale; sign flips cross 0.05 between five "
    "and six units.",
    caption="The smallest p-value that a test can give. In the shaded "
    "part it can never reject.",
)

# %%
five = reach.reach("sign_flip_clustered", n_clusters=5)
needed = reach.units_to_reach("sign_flip_clustered", alpha=0.05)
print(f"five patients: p is never below {five}")
print(f"for p < 0.05 it takes {needed}")

# %% [markdown]
# ## The printed table alone
#
# A paper prints two accuracies and the number of cases.
# How likely is it that their order is false? {cite:p}`christodoulou2025false`
# That depends on the **congruence**, the share of cases that both methods get right, which papers do not print: the more the two agree, the fewer cases decide between them.

# %%
from common.statistics import published

rng = np.random.default_rng(19)
trial = simulate.draw(
    simulate.Scenario("binary", 40, icc=0.2, mean_size=8, effect=0.05), rng
)
first, second = trial.scores[0].T
a, b, n = round(first.mean(), 3), round(second.mean(), 3), len(first)
print(f"printed: {a}, {b}, n = {n}")

# %%
D = dependence.design_effect(0.2, np.bincount(trial.cluster))
measured = (first * second).mean()
curve = published.false_ordering_curve(
    a, b, n, inflations=(1, D), measured=measured
)
known = curve[curve["measured"]][["inflation", "probability"]]
print(known.round(3).to_string(index=False))

# %% tags=["hide-input"]
shape = curve.pivot(
    index="congruence", columns="inflation", values="probability"
)
shape.columns = [f"design effect {each:.1f}" for each in shape.columns]
display.describe(
    figures.congruence_curve(shape.index, dict(shape), measured=measured),
    alt="Probability that the printed order is false, over the share of "
    "cases that both methods get right; it falls as the share grows, and "
    "lies higher where clustering is counted.",
    caption="What two printed accuracies say of their order. Horizontal: "
    "0.05; vertical: the congruence, which this page can measure because "
    "it holds the answers themselves.",
)

# %% [markdown]
# A chapter shows this curve for a paper's own numbers, with the congruence that its replication measured.
#
# ## Do printed numbers agree with themselves?
#
# A rate over $n$ cases is a whole number divided by $n$, and its printed digits say which $n$ are possible {cite:p}`brown2017grim`.
# Suppose that a table prints three sensitivities and not the number of lesions behind them:

# %%
from common.statistics import audit, counts, rates

hidden = np.array([37, 44, 48]) / 54
printed = audit.as_printed(hidden.round(4), decimals=4)
print([each.value for each in printed])
fits = counts.denominators(printed, n=range(1, 100))
print(fits[["n", "expected"]].to_string(index=False))

# %% [markdown]
# One number of lesions fits, and random rates would hardly fit any (`expected` counts how many).
# Had the paper stated another number, table and text could not both be right.
#
# Several rates of one experiment share one confusion matrix, so they can be put together again:

# %%
table = {"accuracy": 0.9125, "sensitivity": 0.5714, "precision": 0.8889}
rounded = {name: audit.Printed(value, 4) for name, value in table.items()}
matrices = rates.confusion_matrices(rounded, n=80)
print(matrices.to_string(index=False))
tp, fp, fn, tn = matrices.iloc[0]
print(f"so its specificity is {tn / (tn + fp):.4f}")

# %% [markdown]
# One matrix of 80 cases prints these rates, and from it follow all that the paper does not print.
#
# ## Are these tests right?
#
# A test is right if it keeps its promises where the truth is known.
# `make validate` simulates thousands of studies of each kind: overlap scores with failures, right and wrong answers, skewed differences, few and many patients, alike and unlike, with folds and seeds.
# It counts how often each test rejects where there is nothing to find, and how often its interval holds the truth.
# The tables below are read from the archive of such a run.

# %%
from common.site import validation

validation.origin()

# %% tags=["hide-input"]
validation.levels_figure(
    [
        "paired t of cases",
        "t_clustered",
        "sign_flip_clustered",
        "cluster_bootstrap",
        "cluster_bootstrap_studentised",
    ],
    outcome="dice",
    highest=0.2,
    alt="Rejections of a naive and four clustered tests without an effect "
    "over the number of patients, in panels of rising correlation; the "
    "naive one leaves the band as it rises.",
    caption="Simulated overlap scores without an effect. Shaded: 3.5 to "
    "6.5 %; bars: Monte-Carlo error; arrows: rates beyond the axis, with "
    "their number.",
)

# %% [markdown]
# First the tests that `paper.yml` can name, then those that count cases or folds as if they were independent.

# %% tags=["hide-input"]
validation.levels()

# %% tags=["hide-input"]
validation.levels(naive=True)

# %% tags=["hide-input"]
validation.coverage()

# %% [markdown]
# From these counts follow the ranges that each test states.
# A verdict that was reached outside them carries a warning.

# %% tags=["hide-input"]
validation.ranges()

# %% [markdown]
# **Planted truth.** A whole chapter is simulated too: ten methods whose true differences are known, claims in all directions, Holm's correction, verdicts by the rule of the book.
# A false verdict is one that the planted truth contradicts.
# In the worst case all true effects lie where a false verdict is easiest.

# %% tags=["hide-input"]
validation.planted_families()

# %% tags=["hide-input"]
validation.planted_verdicts()

# %% [markdown]
# **Power.** A plan is right if studies made by it find the effect as often as it said.

# %% tags=["hide-input"]
validation.power()

# %% [markdown]
# ## What none of this repairs
#
# - **A metric that measures the wrong thing.** Pixel accuracy is high for any method when most pixels are easy, and a mean over cases depends on what an empty case is worth. *Metrics Reloaded* {cite:p}`maierhein2024metrics` is the guide that the chapters follow; each metric of this book states its definition, its variant and its policy for empty cases.
# - **Test cases that were used before.** A threshold, an epoch or an architecture chosen on the test set makes its differences too good, and no p-value knows.
# - **Patients who are not those of the clinic.** An interval speaks of patients like the ones sampled; another hospital, scanner or prevalence is outside it.
# - **A baseline that was not tuned.** The test compares what was trained, not what could have been.
# - **Comparisons that were not reported.** A correction counts the tests that it is told of.
# - **A cluster that is not the independent unit.** If patients share a hospital and the question is about hospitals, hospitals are the clusters, and there are few of them.
# - **Missing cases.** Cases that one method cannot process have to be scored, not dropped, and the metric has to say how.
#
# One check always applies: run the whole analysis where nothing can be found, an arm against its own repeat, or labels shuffled between arms patient by patient.
# A valid test then rejects in about 5 of 100 repetitions.
# Chapters show this null calibration beside the result that it protects.
#
# ## Run this page yourself
#
# `make lab` installs JupyterLab and opens the chapters; `.venv/bin/jupyter lab book` lists this page.
# Right-click `which-test.py`, choose *Open With* and then *Notebook*.
# Change a number of patients, a correlation or a seed, and run the cell again.
# The download button at the top gives the page as it ran, outputs included.
