# Reference values for power, smallest effects and smallest reachable p.
# Run in this folder: Rscript power.R (base R and the packages mvtnorm, pROC and vcd).
# Writes power.json: each entry holds what was asked and the value.

suppressPackageStartupMessages({library(mvtnorm); library(pROC)})

number <- function(x)   # the shorter text where it reads back to the same number
  ifelse(as.numeric(sprintf("%.15g", x)) == x, sprintf("%.15g", x), sprintf("%.17g", x))
json <- function(x) {
  if (is.list(x)) {
    inner <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(inner, collapse = ",\n  "), "]"))
    return(paste0("{", paste0('"', names(x), '": ', inner, collapse = ", "), "}"))
  }
  text <- if (is.character(x)) paste0('"', x, '"') else
    ifelse(is.finite(x), number(x), "null")
  if (length(x) == 1 && !inherits(x, "AsIs")) text else
    paste0("[", paste(text, collapse = ", "), "]")
}
grid <- function(..., f) {   # one entry for every combination
  rows <- expand.grid(..., stringsAsFactors = FALSE)
  lapply(seq_len(nrow(rows)), function(i) {
    row <- as.list(rows[i, , drop = FALSE])
    c(row, value = do.call(f, row))
  })
}
fine <- list(rel.tol = 1e-12, subdivisions = 2000L)
area <- function(f, from, to) do.call(integrate, c(list(f, from, to), fine))$value

# --- t tests ------------------------------------------------------------------------------------

paired_t <- grid(n = c(3, 5, 16, 80), delta = c(0.2, 0.75, 2), alpha = c(0.05, 0.01),
  f = function(n, delta, alpha) power.t.test(n, delta, 1, alpha, type = "paired")$power)
both_sides <- grid(n = c(3, 5, 16), delta = c(0.01, 0.2), f = function(n, delta)
  power.t.test(n, delta, 1, 0.05, type = "paired", strict = TRUE)$power)
paired_effect <- grid(n = c(3, 5, 16, 80), power = c(0.5, 0.8, 0.9), f = function(n, power)
  power.t.test(n, NULL, 1, 0.05, power, type = "paired", tol = 1e-13)$delta)
paired_n <- grid(delta = c(0.3, 0.75, 1.5), f = function(delta)
  ceiling(power.t.test(NULL, delta, 1, 0.05, 0.8, type = "paired")$n))
two_sample <- grid(n = c(5, 17, 60), delta = c(0.3, 1),
  f = function(n, delta) power.t.test(n, delta, 1, 0.05)$power)

# TOST: the chance that an estimate clears both margins, integrated over the estimated spread
tost <- grid(df = c(3, 9, 40), effect = c(0, 0.5, -1.5), low = c(-2, -4), high = c(3, 5),
  alpha = c(0.05, 0.025), f = function(df, effect, low, high, alpha) {
    t <- qt(1 - alpha, df)
    inside <- function(s) pmax(pnorm(high - effect - t * s) - pnorm(low - effect + t * s), 0) *
      2 * df * s * dchisq(df * s^2, df)
    area(inside, 0, (high - low) / (2 * t))
  })
non_inferior <- grid(df = c(3, 9, 40), effect = c(0, 0.5, -1), low = c(-2, -4),
  f = function(df, effect, low) pt(qt(0.95, df), df, effect - low, lower.tail = FALSE))

# --- rates --------------------------------------------------------------------------------------

two_rates <- grid(n = c(20, 50, 300), first = c(0.5, 0.75), second = c(0.6, 0.9),
  f = function(n, first, second) power.prop.test(n, first, second, tol = 1e-12)$power)
p_mcnemar <- function(b, c, method) {
  if (b + c == 0) return(1)
  if (method == "asymptotic")
    return(mcnemar.test(matrix(c(1, c, b, 1), 2), correct = FALSE)$p.value)
  p <- binom.test(b, b + c)$p.value
  if (method == "exact") p else min(1, 2 * pbinom(min(b, c), b + c, 0.5) - dbinom(b, b + c, 0.5))
}
mcnemar <- grid(n = c(10, 40), discordance = c(0.3, 0.8), effect = c(0, 0.25),
  method = c("exact", "mid-p", "asymptotic"), f = function(n, discordance, effect, method) {
    rates <- c((discordance + effect) / 2, (discordance - effect) / 2, 1 - discordance)
    total <- 0
    for (b in 0:n) for (c in 0:(n - b))
      if (p_mcnemar(b, c, method) <= 0.05 * (1 + 1e-12))
        total <- total + dmultinom(c(b, c, n - b - c), n, rates)
    total
  })
one_rate <- grid(n = c(6, 25, 120), rate = c(0.5, 0.8, 0.99), against = c(0.5, 0.9),
  f = function(n, rate, against) {
    x <- 0:n
    p <- 2 * pmin(pbinom(x, n, against), pbinom(x - 1, n, against, lower.tail = FALSE))
    sum(dbinom(x[p <= 0.05 * (1 + 1e-12)], n, rate))
  })

# --- sums over clusters: Imhof's integral, adaptively -------------------------------------------

score <- function(effect, sizes, correlation, quantile, factor, centred) {
  variance <- sizes * (1 + (sizes - 1) * correlation)
  n <- length(sizes)
  centre <- diag(n) - outer(sizes, rep(1, n)) / sum(sizes)
  spread <- factor * ((1 - centred) * diag(n) + centred * t(centre) %*% centre)
  root <- diag(sqrt(variance))
  form <- eigen(root %*% (matrix(1, n, n) - quantile^2 * spread) %*% root, symmetric = TRUE)
  shift <- drop(t(form$vectors) %*% (sizes * effect / sqrt(variance)))
  size <- form$values / max(abs(form$values))
  height <- function(v) vapply(exp(v), function(u) {
    angle <- sum(atan(size * u) + shift^2 * size * u / (1 + (size * u)^2)) / 2
    damping <- sum(log1p((size * u)^2) / 4 + (shift * size * u)^2 / (1 + (size * u)^2) / 2)
    sin(angle) * exp(-damping)
  }, 0)
  0.5 + integrate(height, -45, 45, rel.tol = 1e-11, subdivisions = 5000L)$value / pi
}
sizes <- list(equal = rep(4, 8), ramp = 1:12, one_large = c(60, rep(3, 15)))
scores <- list()
for (name in names(sizes)) for (effect in c(0, 0.6)) for (correlation in c(0, 0.4)) {
  m <- sizes[[name]]
  k <- length(m) / (length(m) - 1)
  z <- qnorm(0.975)
  scores[[length(scores) + 1]] <- list(
    sizes = I(m), effect = effect, correlation = correlation,
    pooled = score(effect, m, correlation, z, 1, 0),
    obuchowski = score(effect, m, correlation, z, k, 0),
    yang = score(effect, m, correlation, z, k, 0.5),
    wald = score(effect, m, correlation, z, 1, 1),
    studentised = score(effect, m, correlation, qt(0.975, length(m) - 1), k, 1))
}

# --- ranks --------------------------------------------------------------------------------------

signed_rank_level <- grid(n = c(4, 6, 7, 15, 50), alpha = c(0.05, 0.01), f = function(n, alpha) {
  p <- 2 * psignrank(0:(n * (n + 1) / 2), n)
  max(0, p[p <= alpha * (1 + 1e-12)])
})
mann_whitney_level <- grid(n = c(3, 8, 20), m = c(3, 11), alpha = c(0.05, 0.01),
  f = function(n, m, alpha) {
    p <- 2 * pwilcox(0:(n * m), n, m)
    max(0, p[p <= alpha * (1 + 1e-12)])
  })
kruskal <- list(
  list(means = I(c(0, 0.5, 1)), sizes = I(c(10, 10, 10))),
  list(means = I(c(0, 0, 1, 1)), sizes = I(c(5, 20, 9, 30))),
  list(means = I(c(1, 0)), sizes = I(c(8, 14))))
kruskal <- lapply(kruskal, function(x) {
  n <- x$sizes; total <- sum(n); k <- length(n)
  h <- qchisq(0.95, k - 1)
  f <- (h / (k - 1)) / ((total - 1 - h) / (total - k))
  away <- 3 / pi * sum(n * (x$means - weighted.mean(x$means, n))^2)
  c(x, value = pf(f, k - 1, total - k, away, lower.tail = FALSE))
})
friedman <- grid(n = c(10, 30), k = c(3, 5), law = c("chi2", "f"), f = function(n, k, law) {
  means <- seq(0, 1, length.out = k)
  chi <- qchisq(0.95, k - 1)
  f <- if (law == "f") qf(0.95, k - 1, (k - 1) * (n - 1)) else (n - 1) * chi / (n * (k - 1) - chi)
  away <- 3 / pi * k / (k + 1) * n * sum((means - mean(means))^2)
  pf(f, k - 1, (k - 1) * (n - 1), away, lower.tail = FALSE)
})
# mean ranks and their covariance in a block of shifted normal arms, by simulation-free orthants
over <- function(mu, j, i) pnorm((mu[j] - mu[i]) / sqrt(2))
both <- function(mu, j, i, m, n) {   # P(arm j above arm i and arm m above arm n)
  if (j == i || m == n) return(0)
  a <- numeric(length(mu)); a[j] <- 1; a[i] <- -1
  b <- numeric(length(mu)); b[m] <- 1; b[n] <- -1
  r <- sum(a * b) / 2
  z <- c(sum(a * mu), sum(b * mu)) / sqrt(2)
  if (r > 1 - 1e-12) return(pnorm(z[1]))
  if (r < -1 + 1e-12) return(0)
  pmvnorm(upper = z, corr = matrix(c(1, r, r, 1), 2), algorithm = TVPACK(abseps = 1e-14))[1]
}
rank_moments <- lapply(list(c(0, 0.5, 1.5), c(0, 0, 0, 0), c(2, -1, 0.3, 0.4)), function(mu) {
  k <- length(mu)
  mean <- vapply(1:k, function(j) 1 + sum(vapply(setdiff(1:k, j), over, 0, mu = mu, j = j)), 0)
  second <- matrix(0, k, k)
  for (j in 1:k) for (m in 1:k) for (i in 1:k) for (n in 1:k)
    second[j, m] <- second[j, m] + both(mu, j, i, m, n)
  list(mu = I(mu), mean = I(mean), covariance = I(c(second - outer(mean - 1, mean - 1))))
})

# --- areas --------------------------------------------------------------------------------------

pair <- function(a, b, r) {
  if (r > 1 - 1e-12) return(min(a, b))
  pmvnorm(upper = qnorm(c(a, b)), corr = matrix(c(1, r, r, 1), 2),
    algorithm = TVPACK(abseps = 1e-14))[1]
}
auc_covariance <- grid(first = c(0.6, 0.9), second = c(0.7, 0.95), r_positive = c(0.3, 0.9),
  r_negative = c(0, 0.5), n_positive = c(5, 40), f = function(first, second, r_positive,
  r_negative, n_positive) {
    n_negative <- 30
    both <- first * second
    (pair(first, second, (r_positive + r_negative) / 2) - both +
      (n_negative - 1) * (pair(first, second, r_positive / 2) - both) +
      (n_positive - 1) * (pair(first, second, r_negative / 2) - both)) / (n_positive * n_negative)
  })
# Q1 and Q2 of normal scores by integration over the shared score
auc_binormal <- grid(auc = c(0.55, 0.8, 0.97), n_positive = c(5, 50), n_negative = c(8, 200),
  f = function(auc, n_positive, n_negative) {
    d <- sqrt(2) * qnorm(auc)
    q1 <- area(function(x) pnorm(x)^2 * dnorm(x - d), -9, 9 + d)
    q2 <- area(function(x) pnorm(d - x)^2 * dnorm(x), -9, 9)
    sqrt((auc * (1 - auc) + (n_negative - 1) * (q1 - auc^2) + (n_positive - 1) * (q2 - auc^2)) /
      (n_positive * n_negative))
  })
auc_obuchowski <- grid(auc = c(0.6, 0.8, 0.95), n_positive = c(30, 80), f = function(auc, n_positive)
  sqrt(pROC:::var.theta.obuchowski(auc, 60 / n_positive) / n_positive))

# --- agreement ----------------------------------------------------------------------------------

kappa <- lapply(list(
  list(kappa = 0.6, rates = I(c(0.5, 0.5)), n = 64), list(kappa = 0, rates = I(c(0.1, 0.9)), n = 100),
  list(kappa = 0.8, rates = I(c(0.2, 0.3, 0.5)), n = 250)), function(x) {
    table <- (1 - x$kappa) * outer(x$rates, x$rates) + x$kappa * diag(x$rates)
    c(x, value = unname(vcd::Kappa(table * x$n)$Unweighted["ASE"]))
  })
icc <- grid(icc = c(0.3, 0.7, 0.9), against = c(0, 0.2), n = c(10, 40), k = c(2, 5),
  f = function(icc, against, n, k) {
    ratio <- function(r) (1 + (k - 1) * r) / (1 - r)
    pf(qf(0.975, n - 1, n * (k - 1)) * ratio(against) / ratio(icc), n - 1, n * (k - 1),
      lower.tail = FALSE)
  })

# --- smallest p ---------------------------------------------------------------------------------

alike <- function(n, k) matrix(rep(seq_len(k), each = n), n)
reach_friedman <- grid(n = c(2, 5, 12), k = c(3, 6),
  f = function(n, k) friedman.test(alike(n, k))$p.value)
reach_nemenyi <- grid(n = c(2, 5, 12), k = c(3, 6), f = function(n, k)
  ptukey((k - 1) / sqrt(k * (k + 1) / (12 * n)), k, Inf, lower.tail = FALSE))
reach_kruskal <- lapply(list(c(2, 2), c(4, 4, 4), c(2, 3, 5), c(10, 1, 4)), function(n) {
  orders <- as.matrix(expand.grid(rep(list(seq_along(n)), length(n))))
  orders <- orders[apply(orders, 1, function(o) !anyDuplicated(o)), , drop = FALSE]
  p <- apply(orders, 1, function(o) kruskal.test(seq_len(sum(n)), rep(o, n[o]))$p.value)
  list(sizes = I(n), value = min(p))
})
reach_signed <- grid(n = c(3, 6, 9), f = function(n) wilcox.test(seq_len(n), exact = TRUE)$p.value)
reach_ranks <- grid(n = c(2, 4, 6), m = c(3, 7), f = function(n, m)
  wilcox.test(seq_len(n), n + seq_len(m), exact = TRUE)$p.value)
reach_mcnemar <- grid(d = c(1, 5, 12), method = c("exact", "mid-p", "asymptotic"),
  f = function(d, method) p_mcnemar(d, 0, method))

result <- list(
  versions = list(R = as.character(getRversion()), mvtnorm = as.character(packageVersion("mvtnorm")),
    pROC = as.character(packageVersion("pROC")), vcd = as.character(packageVersion("vcd"))),
  paired_t = paired_t, both_sides = both_sides, paired_effect = paired_effect, paired_n = paired_n,
  two_sample = two_sample, tost = tost, non_inferior = non_inferior, two_rates = two_rates,
  mcnemar = mcnemar, one_rate = one_rate, scores = scores, signed_rank_level = signed_rank_level,
  mann_whitney_level = mann_whitney_level, kruskal = kruskal, friedman = friedman,
  rank_moments = rank_moments, auc_covariance = auc_covariance, auc_binormal = auc_binormal,
  auc_obuchowski = auc_obuchowski, kappa = kappa, icc = icc, reach_friedman = reach_friedman,
  reach_nemenyi = reach_nemenyi, reach_kruskal = reach_kruskal, reach_signed = reach_signed,
  reach_ranks = reach_ranks, reach_mcnemar = reach_mcnemar)
cat(json(result), "\n", sep = "", file = "power.json")
