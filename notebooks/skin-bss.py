# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Skin chromophores: can a colour photograph be unmixed?
#
# Blind source separation splits a photograph of a mole into oxyhaemoglobin, deoxyhaemoglobin and melanin, and the lesion's melanin is said to tell melanoma from naevus {cite:p}`zokay2023new`.
# There is no training: every method of the paper runs here at its published size, on lesions whose chromophores are known.

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from common import chapterpage, comparison_figures, display, figures, papers
from common.chapters.skin_bss import (
    audit,
    cohorts,
    exclusion,
    experiment,
    photographs,
    pictures,
    tables,
)
from common.datasets import skin_lesion_phantom
from common.models import skin_bss, skin_bss_nmf, skin_bss_scores
from common.runs import read_archive, session
from common.statistics import verdicts

paper = papers.load("skin-bss")

# %% tags=["parameters", "hide-input"]
seed = 0  # first part of the seed of every cohort
n_cohorts = 2  # cohorts of the study's size
n_images = 85  # images of a cohort (the paper: 85)
n_restarts = 10  # random starts (the paper: not stated)
size = 64  # side of an image in pixels (the paper: a few hundred)
zone_length = 16  # height of a zone of one chromophore in pixels
slice_length = 16  # pixels of a slice (the paper: not stated)
threshold = 0.4  # least distance of two columns (the paper: not stated)
max_iter = 60  # most rounds of least squares (the paper: not stated)
photo_shrink = 3  # real photographs are made smaller by this factor
photo_slice = 24  # pixels of a slice of a real photograph
n_simulated = 1000  # random colours, and simulated studies per effect

# %% tags=["nbval-skip", "hide-input"]
names = "seed n_cohorts n_images n_restarts size zone_length slice_length"
names += " threshold max_iter photo_shrink photo_slice n_simulated"
run = session.start(
    "skin-bss", {name: globals()[name] for name in names.split()}
)
archive = read_archive("skin-bss", "standard")
at_hand = photographs.find(photo_shrink)
chapterpage.source_banner(*photographs.banner(at_hand))

# %% tags=["nbval-skip", "remove-input"]
judged = verdicts.judge_published(paper)
chapterpage.at_a_glance(paper, judged, archive)

# %% [markdown]
# ## The paper
#
# The colour of skin comes from three absorbers: blood with oxygen, blood without, and melanin.
# A camera has three bands.
# Three equations with three unknowns can be solved, if the absorption of each substance in each band is known.
# For an ordinary camera it is not, since its bands are broad.
#
# The paper therefore estimates the absorption from each photograph itself.
# It looks for places with a single absorber, takes their colours as a first guess, and improves the guess by non-negative matrix factorisation (NMF).
# The amount of melanin in the lesion then serves as a criterion for melanoma.
# On 85 photographs of MED-NODE {cite:p}`giotis2015mednode` the boxes of the two classes are said not to overlap for this criterion, and to overlap for all others.
#
# Not one number of a result is printed, and no test.
# Claims marked *ours* are questions of this book.

# %% tags=["remove-input"]
chapterpage.claim_table(paper)

# %% [markdown]
# ## The idea
#
# Divide the absorbance in green, and that in red, by the one in blue.
# Where a single substance absorbs, its amount cancels: both ratios are those of the substance, whatever the amount.
# A stretch of such pixels is a single point in the plane of the two ratios.
# Mixed tissue scatters.
#
# The figure shows this for one generated lesion.
# Each dot is a *slice* of pixels; pure slices have a small variance.

# %%
shape = (size, size)
lesions = skin_lesion_phantom.phantom(
    n_images, seed, size=size, zone_length=zone_length
)
lesion = next(case for case in lesions if case.target["label"] == 1)
X = skin_bss.absorbance(lesion.image, srgb=False)
M = lesion.info["mixing"][::-1]  # rows blue, green, red
M_sca = skin_bss.sparse_columns(X, length=slice_length, threshold=threshold)
print(M_sca.round(2))

# %% tags=["nbval-skip", "hide-input"]
display.describe(
    pictures.ratio_plane(X, M_sca, M, length=slice_length),
    alt="Scatter of slices in the plane of two absorbance ratios, coloured by variance, with the "
    "three accepted columns inside the squares of the three true ones.",
    caption="Slices of one image. Dark points have a small variance; squares are the ratios of the "
    "pure chromophores, crosses what the search accepts.",
)

# %% [markdown]
# The idea stands on one condition: such places must exist.
# Turn the dial below, and the other chromophores creep back into the zones; the crosses leave the squares.

# %% tags=["nbval-skip", "hide-input", "only-shows"]
from common import explorer

explorer.explore(
    pictures.purity(
        n=n_images,
        seed=seed,
        size=size,
        zone_length=zone_length,
        length=slice_length,
        threshold=threshold,
    ),
    (0.0, 0.25, 0.5, 1.0),
    label="What is left of the other chromophores in a zone (share)",
    alt="Slices in the plane of two ratios, with accepted and true columns.",
    caption="The same lesion with zones less and less pure.",
)

# %% [markdown]
# ## The data
#
# MED-NODE has 170 photographs, taken with one camera and cropped to the lesion.
# The paper keeps half of them and says neither which nor by what rule.

# %%
printed = paper.table("prose")
counts = printed[printed["row"].isin(["data set", "camera"])]
display.table(
    counts[["row", "column", "metric", "value"]].astype({"value": int}),
    caption="Counts and wavelengths stated in the text.",
    index=False,
)

# %% [markdown]
# The whole set asks for a download by hand; two of its photographs come with a public repository and go through every step below if they are at hand.
# The experiment runs on a {term}`phantom`, which alone has a truth to compare with.
#
# Each of its pixels mixes three amounts by a matrix of a broad-band camera.
# Melanoma holds more melanin than naevus, haemoglobin varies from lesion to lesion without regard to the class, and short vertical zones hold one chromophore each.
# It keeps class counts and skin colours; it does not keep scattering, gloss or the look of lesions, and its zones are put in by design.
# Nothing that is found on it speaks of patients.

# %% tags=["nbval-skip", "hide-input"]
shown = [lesions[place] for place in range(12)]
display.describe(
    figures.gallery(
        [np.moveaxis(case.image, 0, -1) for case in shown],
        [skin_lesion_phantom.CLASSES[case.target["label"]] for case in shown],
    ),
    alt="Twelve generated photographs of brown lesions on skin, with short coloured vertical runs.",
    caption="Generated lesions. The thin vertical runs are zones of one chromophore.",
)

# %% [markdown]
# ## The method
#
# **Optical model.** With $b_i = -\ln(\text{reflectance})$ in band $i$ and amounts $c_j$,
#
# $$ b_i = \sum_{j=1}^3 m_{ij} c_j, \qquad X = M C . $$

# %%
amounts = np.eye(3)  # three pixels, each of one chromophore
light = np.exp(-M[::-1] @ amounts)[:, None, :]  # red, green, blue
print(np.allclose(skin_bss.absorbance(light, srgb=False), M @ amounts))

# %% [markdown]
# **Classical comparator** {cite:p}`spigulis2015snapshot`. Known absorption and path lengths give a matrix, and $\hat C = M_\mathrm{emp}^{-1} X$.

# %%
M_emp = audit.empirical_matrix(paper)
matrix = pd.DataFrame(
    M_emp, index=skin_bss.BANDS, columns=skin_bss.CHROMOPHORES
)
display.table(
    matrix.rename_axis("band"),
    caption="Empirical mixing matrix (equation 23), as printed.",
    digits=2,
)

# %% [markdown]
# This matrix *must* give negative deoxyhaemoglobin.
# Let $w$ be the second row of its inverse.
# Skin and moles absorb most in blue, so $b_G \le b_B$ and $b_R \le b_B$, and
#
# $$ c_2 = w_B b_B + w_G b_G + w_R b_R \le (w_B + w_G + w_R)\, b_B . $$

# %%
w, factor = audit.negative_bound(M_emp)
print("w =", w.round(4), f" c_2 <= {factor:.4f} b_B")
colours = audit.random_colours(20_000, np.random.default_rng(seed))
c = skin_bss.invert(colours, M_emp)[:, colours[0] > 0]
print("share of random colours with negative amounts:", (c < 0).mean(axis=1))

# %% [markdown]
# The factor is negative, so the amount is negative for every such colour, sick or healthy.
# The figure shows the same: amounts that are not negative make colours in the grey triangle alone.

# %% tags=["nbval-skip", "hide-input"]
options = cohorts.Options(slice_length, threshold, max_iter, M_emp)
photo_options = cohorts.Options(
    photo_slice, threshold, max_iter, M_emp, srgb=True
)
photos = photographs.pair(at_hand, photo_options)
pixels = {"phantom": X} | {each.case: each.X for each in photos}
display.describe(
    pictures.cone(M_emp, pixels),
    alt="Triangle of colours that the empirical matrix can make, and pixels of a phantom lesion "
    "and of photographs, all of which lie left of it.",
    caption="Grey: colours that non-negative amounts can make with the empirical matrix. Dots: "
    "pixels. Left of the dotted line and below the other blue absorbs most.",
)

# %% [markdown]
# **Sparse start** (SCA, after {cite:t}`abrard2005time`). Slices are sorted by the variance of their ratios; the first gives a column, and each next one that is far enough from those accepted gives another.

# %%
display.source_of(skin_bss.sparse_columns)

# %%
zones = np.repeat(M, 8, axis=1)  # three pure zones of eight pixels
toy = zones * np.linspace(0.5, 2, 24)  # of rising amounts
print(skin_bss.sparse_columns(toy, length=8, step=8, threshold=0.1).round(6))

# %% [markdown]
# **NMF** by alternating least squares {cite:p}`paatero1994positive`.
# With $D_e = \tfrac12 \lVert X - AS \rVert^2$, each round computes
#
# $$ S \leftarrow \max\bigl((A^\top A)^{-1} A^\top X,\, 0\bigr), \qquad A \leftarrow \max\bigl(X S^\top (S S^\top)^{-1},\, 0\bigr) . $$
#
# All images of a cohort go through it together; only 3 × 3 systems are solved.

# %%
display.source_of(skin_bss_nmf._round)

# %% [markdown]
# There are as many bands as chromophores.
# So *any* invertible start is exact after one step if nothing is clipped, and the clipping does all the work.

# %% tags=["nbval-skip", "hide-input"]
start = np.random.default_rng([seed, 3]).random((3, 3))
paths = {
    f"{name}, {'clipped' if clip else 'not clipped'}": skin_bss_nmf.costs(
        X, first, max_iter=max_iter, clip=clip
    )
    for name, first in (("SCA start", M_sca), ("random start", start))
    for clip in (True, False)
}
display.describe(
    pictures.cost_paths(paths),
    alt="Cost over the rounds for two starts, with clipping and without; without it is zero at once.",
    caption="Cost of one image over the rounds, from two starts, with clipping and without. Costs "
    "below 10⁻¹² are drawn there.",
)

# %% [markdown]
# **Names and criterion.** Columns are compared with the ratios of $M_\mathrm{emp}$, and the best of six orders names them.
# In a lesion $R$, outlined by Otsu's threshold {cite:p}`otsu1979threshold`,
#
# $$ C_j = \frac{1}{N_r} \sum_{v \in R} \sum_i a_{ij} s_j(v), \qquad B_i = \frac{1}{N_r} \sum_{v \in R} b_i(v) . $$

# %%
display.source_of(skin_bss.contributions)

# %% [markdown]
# Read the nine numbers $a_{ij}\bar s_j$ by column, and they sum to the new criterion; read them by row, and they sum to the classical one.
# So $\sum_j C_j = \sum_i B_i$: the new criterion shares out the old one among three sources.

# %%
mask = skin_bss.lesion_mask(X, shape)
parts = skin_bss.contributions(M_sca, skin_bss.invert(X, M_sca), mask)
print("C_j sum to", parts.sum(axis=0).sum().round(6))
print("B_i sum to", skin_bss.band_means(X, mask).sum().round(6))

# %% [markdown]
# ### Maps with the truth beside them

# %% tags=["nbval-skip", "hide-input"]
found = cohorts.blind(X[None], options)
truth = lesion.info["sources"].swapaxes(-1, -2).reshape(3, -1)
rows = [
    pictures.Row("truth", truth, shape, lesion.image, mask),
    pictures.Row("SCA, NMF", found["sca-nmf"][1][0], shape),
    pictures.Row("classical", skin_bss.invert(X, M_emp), shape),
]
display.describe(
    pictures.maps(rows),
    alt="Maps of three chromophores of a generated melanoma: true, by SCA and NMF, and by the "
    "classical inverse, whose deoxyhaemoglobin is negative everywhere.",
    caption="A generated melanoma. Orange is positive, purple negative, each map on its own scale; "
    "the outline is Otsu's.",
)

# %% [markdown]
# Figs. 4 and 5 of the paper show such maps for two photographs of MED-NODE.
# Here are the two that are at hand, or a note if none is.

# %% tags=["nbval-skip", "hide-input"]
photographs.show(photos)

# %% tags=["nbval-skip"]
display.table(
    photographs.summaries(photos),
    caption="Pixels with negative deoxyhaemoglobin (classical inverse), "
    "pixels that absorb most in blue, and mean contributions to the "
    "lesion (SCA and NMF).",
    digits=2,
)

# %% [markdown]
# ## The experiment
#
# A cohort has 34 melanomas and 51 naevi, as the paper has.
# In the main setting the paper's assumptions hold.
# Six others break one each: no difference between the classes, no zones, impure zones, a matrix of its own for each image, another light, hair.
# They show the same lesions, so that settings differ in nothing else.
#
# A single study of this size sees only large gains in {term}`AUC`; the cohorts of a standard run together see gains of a few hundredths.

# %%
display.table(
    tables.detectable(paper, cohorts=(1, 2, 10)),
    caption="Gain over an AUC of 0.8 that DeLong's test finds with 80 % "
    "power, for scores that correlate by r.",
    digits=2,
)

# %% tags=["nbval-skip"]
sizes = {"n_cohorts": n_cohorts, "n_images": n_images, "size": size}
sizes |= {"seed": seed, "zone_length": zone_length, "options": options}
sizes["progress"] = run.id == "interactive"  # a bar where somebody waits
records = experiment.run(cohorts.SETTINGS, n_restarts=n_restarts, **sizes)
excluded = exclusion.run(**sizes)
print(f"{len(records):,} records of {n_cohorts} cohorts")

# %% tags=["nbval-skip"]
display.table(
    tables.separation(paper, records),
    caption="Main setting, means over images: correlation with the true "
    "sources, Amari index, source to interference, negative "
    "deoxyhaemoglobin.",
    digits=2,
)

# %% [markdown]
# Correlation, Amari index {cite:p}`amari1996new` and the ratio of source to interference {cite:p}`vincent2006performance` ignore order, sign and scale.
#
# ### Where starts lead
#
# A factorisation is not unique, and a low cost does not show that the sources are the true ones.
# Each point below is one start of a whole cohort.
# The *best random start* of other tables is, for each image, the one that ends at the least cost.

# %% tags=["nbval-skip", "hide-input"]
display.describe(
    pictures.starts(records),
    alt="Two scatter plots of starts: cost against correlation, and correlation against AUC, for "
    "random and SCA starts with and without pure zones.",
    caption="Each point is one start of one cohort: median cost, mean correlation with the true "
    "sources, and AUC of melanin's criterion over its images. Dotted: chance.",
)

# %% [markdown]
# ### One assumption at a time

# %% tags=["nbval-skip"]
display.table(
    tables.setting_areas(records),
    caption="AUC of melanin by SCA and NMF, by random starts (mean) and by "
    "the classical inverse, of the absorbance in blue, and of the true "
    "melanin.",
    digits=2,
)

# %% tags=["nbval-skip"]
display.table(
    tables.setting_correlations(records),
    caption="Correlation with the true sources, mean over images.",
    digits=2,
)

# %% [markdown]
# ## Published and replicated
#
# The paper prints its results as pictures; what its text says of the boxes is all there is to compare.

# %%
said = printed[printed["metric"].str.startswith("overlap")]
display.table(
    said[["row", "column", "n", "note"]].rename(columns={"note": "stated"}),
    caption="What the text says of the boxes of melanoma and naevus.",
    index=False,
)

# %% tags=["nbval-skip"]
runs = {"this run": records}
if archive is not None:
    runs[archive.profile] = archive.records
display.table(
    tables.stated_and_found(paper, runs),
    caption="Boxes as stated, and in how many cohorts (for random starts: "
    "cohorts and starts) ours do not overlap.",
)

# %% tags=["nbval-skip", "hide-input"]
shown = {paper.arm(arm).label: arm for arm in tables.BOXED}
display.describe(
    pictures.box_plots(
        {name: tables.scores(records, arm) for name, arm in shown.items()},
        {name: tables.area(records, arm) for name, arm in shown.items()},
    ),
    alt="Box plots of naevus and melanoma for nine scores, each with its AUC and interval.",
    caption="Figs. 6 to 8 on the phantom, all cohorts together. Boxes: quartiles; bars: smallest "
    "and largest value; AUC with DeLong's 95 % interval.",
)

# %% tags=["nbval-skip", "hide-input"]
display.describe(
    figures.dot_published_replicated(
        tables.areas_beside(paper, records, archive), label="AUC, main setting"
    ),
    alt="Areas under the curve of eleven scores with intervals, in this run and the archived one.",
    caption="AUC of each score with DeLong's 95 % interval. The paper prints none.",
)

# %% tags=["nbval-skip", "hide-input"]
display.describe(
    comparison_figures.roc(**tables.roc_curves(records)),
    alt="Six receiver operating characteristics with their areas.",
    caption="ROC curves of the main setting; areas with DeLong's 95 % intervals. Random: the best "
    "random start.",
)

# %% tags=["nbval-skip"]
display.table(
    tables.identification(paper, records),
    caption="Main setting: AUC, Cliff's δ, balanced accuracy of a threshold "
    "that never saw the image, cohorts with boxes apart.",
    digits=2,
)

# %% [markdown]
# ### What leaving out half of the images can do
#
# The paper dropped 85 of 170 photographs.
# Here twice as many images are drawn, with hair, and half of each class is kept.
# At 0 the choice looks at hair alone; at 1 it looks at nothing but how well an image fits its class.
# Nobody need cheat for a little of that: a picture that comes out badly looks like a bad picture.

# %% tags=["nbval-skip", "hide-input"]
display.describe(
    pictures.exclusion(excluded),
    alt="AUC and distance of the boxes against the share of the choice that looks at fit, where "
    "classes differ and where they do not.",
    caption="Open markers at the left: all images. Lines: the half that is kept, thin for each "
    "cohort. Above the dotted line of the right panel boxes do not overlap.",
)

# %% [markdown]
# ## The claims on trial
#
# The unit is the image: as far as is known, each has its own patient.
# Two scores of the same images are compared by DeLong's test {cite:p}`delong1988comparing`, separation by Wilcoxon's signed ranks, boxes cohort by cohort.
# All cohorts are pooled for the first two.
# A single run of random starts is not a fair opponent, so the area of each start is computed and the mean over starts is compared.

# %% tags=["nbval-skip"]
collected = run.recorder("phantom")
for part in (records, excluded, experiment.hair_pairs(records)):
    collected.extend(part)
if at_hand is not None:
    collected.extend(photographs.records(at_hand[1], photo_options))
every = collected.frame()
for layer_source in ("phantom", "open"):
    judged += verdicts.judge(
        paper,
        every,
        layer="replication",
        source=layer_source,
        profile=run.profile,
        rng=np.random.default_rng([seed, 5]),
    )

# %% tags=["nbval-skip", "hide-input"]
shown = chapterpage.current_verdicts(
    paper,
    judged,
    archive,
    profile=run.profile,
    rng=np.random.default_rng([seed, 8]),
)
chapterpage.verdict_overview(shown, paper)

# %% [markdown]
# Everything that a verdict names, and what could not be tested:

# %% tags=["nbval-skip", "remove-input", "hide-output"]
tested = [each for each in shown if each.verdict != "untested"]
display.verdict_table(tested, paper, caption="Verdicts in full.")

# %% tags=["nbval-skip", "remove-input", "hide-output"]
chapterpage.untested_table(shown, paper)

# %% [markdown]
# Four remarks on reading them.
#
# - **C1n is built in.** NMF cannot give a negative amount, and the empirical matrix cannot give a positive one.
# - **C4 is a matter of algebra.** With a stable column the three single-band contributions are multiples of $\bar s_3$, so they rank images as $C_3$ does.
# - **C6 is put in.** The phantom draws its lesions with that order; the claim asks only if the method finds it.
# - **C5 depends on the zones.** Where they are pure the start is right, and there is little left to improve.
#
# How much do boxes say?
# Below, six studies of the paper's size are drawn for classes that lie $d$ standard deviations apart.

# %% tags=["nbval-skip", "hide-input", "only-shows"]
from common import explorer

explorer.explore(
    lambda d: pictures.normal_boxes(
        d, sizes=(51, 34), rng=np.random.default_rng(seed)
    ),
    (0.0, 0.5, 1.0, 1.35, 1.7, 2.0),
    label="Distance of the classes (standard deviations)",
    alt="Six pairs of boxes of simulated studies, each marked as apart or overlapping.",
    caption="Boxes: quartiles of 51 naevi and 34 melanomas; bars: smallest and largest value.",
    start=3,
)

# %% [markdown]
# ## Audit
#
# Do the printed numbers and statements agree with each other?

# %% tags=["nbval-skip"]
checks = audit.checks(
    paper, n_simulated=n_simulated, rng=np.random.default_rng([seed, 6])
)
display.table(
    tables.checks(checks),
    caption="Checks of the printed paper.",
    index=False,
)

# %% tags=["nbval-skip"]
run.save(every, verdicts=judged, audit=checks)

# %% [markdown]
# ## What we had to decide
#
# The paper gives the equations and few settings; each of these is a choice of ours.
#
# 1. **Absorbance.** Base and scale of the logarithm are free. We use $-\ln$ with grey value 1 as the darkest.
# 2. **Grey values.** Beer's law needs light, JPEG files hold sRGB. The paper is silent; photographs are made linear here, and the table below shows both.
# 3. **Slices.** Length and overlap are not given: 16 pixels, beginning anywhere, on 64-pixel images; 64 on photographs at full size.
# 4. **Threshold.** Not given. At 0.15 the search takes skin for a second chromophore; 0.4 was found in exploratory runs on another draw of the phantom, and is halved where three columns are not found.
# 5. **Which variance.** The paper sorts by one ratio and does not say which; we add both.
# 6. **End of the loop.** A cost of 10⁻⁸ of the power, or 60 rounds (100 in a standard run). Eight-bit images never reach the first.
# 7. **Names.** The nearest of six orders in the angles of the ratios, against $M_\mathrm{emp}$. On the phantom the camera's own matrix is tried as well; the next cell measures the difference.
# 8. **Lesion.** Otsu on the mean of three bands, largest piece, holes filled.
# 9. **Direction.** The paper does not say which class has more melanin. On the phantom melanoma has.
# 10. **Margins.** 0.05 of AUC; 0.02 of correlation.
# 11. **Exploration.** All settings were run on two other draws before the claims were written down; no dial was moved after that.

# %% tags=["nbval-skip"]
for arm in ("sca-nmf", "sca-nmf-renamed", "best-start", "best-start-renamed"):
    area, low, high = tables.area(records, arm)
    print(f"{paper.arm(arm).label}: AUC {area:.3f} [{low:.3f}, {high:.3f}]")

# %% tags=["nbval-skip", "hide-input"]
display.table(
    photographs.orders(at_hand, photo_options),
    caption="Two photographs under eight sets of choices (slice in pixels, threshold τ): "
    "chromophores by rising contribution (SCA and NMF), and pixels with negative "
    "deoxyhaemoglobin (classical inverse, the smaller share).",
    index=False,
)

# %% [markdown]
# ## Limits
#
# - The phantom mixes as the model says and has the zones that the method looks for. It can show that a step fails; it cannot show that skin has such zones.
# - Its colours are unlike those of $M_\mathrm{emp}$, which disfavours the classical inverse. The inverse of the camera's matrix stands beside it for that reason.
# - The 85 images of the paper cannot be named, so its study cannot be repeated; with the 170 photographs at hand the chapter runs on all.
# - Two photographs show what happens to them, and nothing of a population.
# - Patients are not identified in MED-NODE; two images of one patient would count twice.
#
# ## Exercises
#
# ````{exercise} The criterion is a partition
# :label: skin-bss-partition
#
# Show that $\sum_j C_j = \sum_i B_i$ if $X = AS$, and that neither side changes when a column of $A$ is multiplied by a number and the row of $S$ divided by it.
# ````
#
# ````{solution-start} skin-bss-partition
# :class: dropdown
# ````
#
# Sum $a_{ij} s_j(v)$ over $j$ first: that is $b_i(v)$.
# The numbers cancel inside each product $a_{ij} s_j$.

# %%
A, S = M, skin_bss.invert(X, M)
scaled = skin_bss.contributions(
    A * [2, 3, 4], S / np.array([[2], [3], [4]]), mask
)
print(np.allclose(scaled, skin_bss.contributions(A, S, mask)))
print(np.allclose(scaled.sum(axis=1), skin_bss.band_means(X, mask)))

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} When does the loop stop?
# :label: skin-bss-stop
#
# Show that the loop ends after one round when it starts from the true matrix and the image is exact.
# Why does it not end on a camera's image?
# ````
#
# ````{solution-start} skin-bss-stop
# :class: dropdown
# ````
#
# The first step gives the true amounts, which are not negative: nothing is clipped and the cost is 0.
# Eight bits round the light, and some of the amounts that belong to the rounded colours are negative.

# %%
exact = M @ S.clip(min=0)
for name, image in (("exact", exact), ("eight bits", X)):
    stopped = skin_bss_nmf.als(image[None], M[None], max_iter=60)
    print(f"{name}: {stopped.n_iter[0]} rounds")

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Clusters instead of the first that comes
# :label: skin-bss-clusters
#
# The search takes the first slice that is far enough from the others, and needs a threshold for it.
# Take the 5 % of slices with the least variance and replace the search by k-means.
# What takes the place of the threshold?
# ````
#
# ````{solution-start} skin-bss-clusters
# :class: dropdown
# ````

# %%
from sklearn.cluster import KMeans

mean, variance, _ = skin_bss.slice_ratios(X, length=slice_length)
spread = variance.sum(axis=0)
found_by = {
    f"threshold {least}": skin_bss.sparse_columns(
        X, length=slice_length, threshold=least
    )
    for least in (0.15, 0.4)
}
for share in (0.02, 0.05, 0.2):
    calm = mean[:, spread <= np.quantile(spread, share)].T
    centres = KMeans(3, n_init=10, random_state=0).fit(calm).cluster_centers_
    found_by[f"k-means on {share:.0%}"] = np.vstack([np.ones(3), centres.T])
for name, estimate in found_by.items():
    print(f"{name}: Amari index {skin_bss_scores.amari_index(estimate, M):.2f}")

# %% [markdown]
# The share of slices does, and it matters as much as the threshold did.
# With few of them a chromophore is missing; with many, clusters go where slices are many, which is skin.
#
# ````{solution-end}
# ````

# %% [markdown]
# ## Run it yourself
#
# ```bash
# replicate run skin-bss                     # this page, a minute
# replicate run skin-bss --profile standard  # ten cohorts, minutes
# replicate run skin-bss -p threshold=0.15
# replicate sweep skin-bss -p slice_length=8,16,32 --seeds 3
# ```
#
# In Colab, which opens this notebook alone, a first cell has to bring the book:
#
# ```bash
# !git clone https://github.com/replication-book/replication-book
# %cd replication-book
# !pip install -q -c constraints.txt -e .
# ```
#
# In this chapter we
#
# - saw that a comparator's fault was a matter of algebra, whatever the image;
# - found where a blind method owes its success to zones that someone must have put there;
# - learned how little two boxes say, and how much a choice of images can.
#
# The records, parameters and versions behind this page:

# %% tags=["nbval-skip", "remove-input"]
chapterpage.provenance(run, archive)

# %% [markdown]
# How to cite it:

# %% tags=["nbval-skip", "remove-input", "only-shows"]
chapterpage.cite(paper)
