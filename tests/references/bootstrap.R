# Reference values for bootstrap intervals of clustered means, exact bootstraps, and seeds.
# Run in this folder: Rscript bootstrap.R (packages boot, and jsonlite to read the data).
# Reads bootstrap_data.json, writes bootstrap.json.
#
# The draws of `boot` are written too (how often each cluster was drawn), so that the same
# replicates can be made elsewhere.  boot.ci interpolates quantiles on the normal scale (`_boot`);
# endpoints by R's ordinary quantiles are given beside them.

library(boot)

json <- function(x) {
  if (is.list(x)) {
    inner <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(inner, collapse = ", "), "]"))
    return(paste0("{", paste0('"', names(x), '": ', inner, collapse = ", "), "}"))
  }
  if (is.matrix(x)) return(json(lapply(seq_len(nrow(x)), function(i) I(unname(x[i, ])))))
  text <- if (is.character(x)) paste0('"', x, '"') else
    ifelse(is.finite(x), sprintf("%.17g", x), "null")
  if (length(x) == 1 && !inherits(x, "AsIs")) text else
    paste0("[", paste(text, collapse = ", "), "]")
}

data <- jsonlite::fromJSON("bootstrap_data.json")

# --- clusters ---------------------------------------------------------------------------------------

# Mean over cases and its cluster-robust variance (Taylor linearisation, strata fixed).
ratio <- function(d, i, stratum = rep(1, nrow(d))) {
  theta <- sum(d$S[i]) / sum(d$N[i])
  e <- d$S[i] - theta * d$N[i]
  spread <- sapply(unique(stratum), function(h) {
    n <- sum(stratum == h)
    if (n < 2) 0 else n * var(e[stratum == h])
  })
  v <- sum(spread) / sum(d$N[i])^2
  c(theta, if (isTRUE(v < 1e-20)) 0 else v)  # what rounding leaves of one cluster drawn again and again
}

sums <- function(x) {
  d <- data.frame(S = as.vector(rowsum(x$values, x$cluster)),
                  N = as.vector(table(x$cluster)))
  d$h <- if (is.null(x$stratum)) 1 else as.vector(tapply(x$stratum, x$cluster, `[`, 1))
  d
}

# Efron and Tibshirani (1993), equation 15.36, the data counted as one more replicate.
p_bca <- function(share, z0, a, sign) {
  w <- sign * qnorm(share) - z0
  pnorm(sign * (w / (1 + a * w) - z0))
}

clusters <- function(x, seed) {
  set.seed(seed)
  d <- sums(x)
  b <- boot(d, ratio, R = 199)
  t <- b$t[, 1]
  # empinf centres influences at the estimate; about their mean they are Efron and Tibshirani's
  # (1993, equation 14.15).
  L <- empinf(b, type = "jack", index = 1)
  L <- L - mean(L)
  z0 <- qnorm((sum(t < b$t0[1] - 1e-12) + sum(abs(t - b$t0[1]) <= 1e-12) / 2) / b$R)
  a <- sum(L^3) / (6 * sum(L^2)^1.5)
  null <- b$t0[1] - sd(t)
  se <- sqrt(b$t0[2])
  pivot <- (t - b$t0[1]) / sqrt(b$t[, 2])
  greater <- (sum(t <= null) + 1) / (b$R + 1)
  less <- (sum(t >= null) + 1) / (b$R + 1)
  out <- list(counts = boot.array(b), t = t, effect = b$t0[1], error = se,
              errors = sqrt(b$t[, 2]), z0 = z0, a = a, z0_strict = qnorm(mean(t < b$t0[1])),
              null = null, p_greater_bca = p_bca(greater, z0, a, 1),
              p_less_bca = p_bca(less, z0, a, -1),
              p_greater_basic = (sum(t >= 2 * b$t0[1] - null) + 1) / (b$R + 1),
              p_greater_studentised = (sum(pivot >= (b$t0[1] - null) / se) + 1) / (b$R + 1),
              p_less_studentised = (sum(pivot <= (b$t0[1] - null) / se) + 1) / (b$R + 1))
  for (level in c(0.9, 0.95)) {
    tails <- c((1 - level) / 2, (1 + level) / 2)
    ci <- suppressWarnings(boot.ci(b, conf = level, type = c("perc", "basic", "bca", "stud"), L = L,
                                   var.t0 = b$t0[2], var.t = b$t[, 2]))
    z <- z0 + qnorm(tails)
    levels <- pnorm(z0 + z / (1 - a * z))
    out[[paste0("level", 100 * level)]] <- list(
      percentile_boot = ci$percent[4:5], basic_boot = ci$basic[4:5], bca_boot = ci$bca[4:5],
      studentised_boot = ci$student[4:5], bca_levels = levels,
      bca = unname(quantile(t, levels)),
      percentile = unname(quantile(t, tails)),
      basic = unname(2 * b$t0[1] - quantile(t, rev(tails))),
      studentised = unname(b$t0[1] - se * quantile(pivot, rev(tails))))
  }
  out
}

# Strata: Davison and Hinkley (1997), section 5.3: influences centred in strata and divided by
# their sizes.
stratified <- function(x) {
  set.seed(5)
  d <- sums(x)
  b <- boot(d, function(d, i) ratio(d, i, d$h), R = 199, strata = d$h)
  without <- sapply(seq_len(nrow(d)), function(i) sum(d$S[-i]) / sum(d$N[-i]))
  l <- unlist(lapply(split(without, d$h), function(v) {
    n <- length(v)
    (n - 1) * (mean(v) - v) / n
  }))
  list(counts = boot.array(b), t = b$t[, 1], effect = b$t0[1], error = sqrt(b$t0[2]),
       errors = sqrt(b$t[, 2]), a = sum(l^3) / (6 * sum(l^2)^1.5),
       percentile = unname(quantile(b$t[, 1], c(0.025, 0.975))))
}

# --- all draws --------------------------------------------------------------------------------------

exact <- function(S, N) {
  k <- length(S)
  draws <- as.matrix(expand.grid(rep(list(seq_len(k)), k)))
  d <- data.frame(S = S, N = N)
  t <- apply(draws, 1, function(i) ratio(d, i))
  theta <- ratio(d, seq_len(k))
  list(S = S, N = N, n = nrow(draws), mean = mean(t[1, ]), sd = sd(t[1, ]),
       percentile = unname(quantile(t[1, ], c(0.025, 0.975))),
       percentile90 = unname(quantile(t[1, ], c(0.05, 0.95))),
       error = sqrt(theta[2]), mean_error = mean(sqrt(pmax(t[2, ], 0))),
       p_greater = (sum(t[1, ] <= 1e-12) + 1) / (nrow(draws) + 1))
}

# --- seeds ------------------------------------------------------------------------------------------

seeds <- function(x) {
  x <- as.matrix(x)
  y <- x[rev(seq_len(nrow(x))), , drop = FALSE] + 0.01
  list(interquartile_mean = mean(x, trim = 0.25), optimality_gap = mean(pmax(0.9 - x, 0)),
       improvement = mean(sapply(seq_len(ncol(x)), function(j)
         suppressWarnings(wilcox.test(y[, j], x[, j], exact = FALSE)$statistic) / nrow(x)^2)),
       improvement_itself = mean(sapply(seq_len(ncol(x)), function(j)
         suppressWarnings(wilcox.test(x[, j], x[, j], exact = FALSE)$statistic) / nrow(x)^2)))
}

cat(json(list(
  made_with = list(R = R.version.string, boot = as.character(packageVersion("boot"))),
  clusters = mapply(clusters, data[c("skewed", "proportions", "tiny", "outlier")], 1:4,
                    SIMPLIFY = FALSE),
  stratified = stratified(data$stratified),
  exact = list(unequal = exact(c(0.5, 0.75, -1, 3), c(1, 2, 3, 1)),
               ties = exact(c(1, 1, 0, 0, -1), c(1, 1, 1, 1, 1)),
               two = exact(c(1, 4), c(1, 2)),
               giant = exact(c(50, 1, -2), c(60, 1, 2))),
  seeds = lapply(data$seeds, seeds)
)), "\n", sep = "", file = "bootstrap.json")
