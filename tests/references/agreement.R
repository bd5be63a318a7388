# Reference values for the agreement of raters and methods and the correlation inside clusters.
# Run in this folder: Rscript agreement.R (base R and the packages psych and vcd).
# Writes agreement_data.json (the data sets) and agreement.json (the values).

suppressPackageStartupMessages({
  library(psych)
  library(vcd)
})

json <- function(x) {
  if (is.list(x)) {
    inner <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(inner, collapse = ", "), "]"))
    return(paste0("{", paste0('"', names(x), '": ', inner, collapse = ", "), "}"))
  }
  if (is.matrix(x)) return(json(lapply(seq_len(nrow(x)), function(i) unname(x[i, ]))))
  text <- if (is.character(x)) paste0('"', x, '"') else
    ifelse(is.finite(x), sprintf("%.17g", x), "null")
  if (length(x) == 1 && !inherits(x, "AsIs")) text else
    paste0("[", paste(text, collapse = ", "), "]")
}

# --- data -----------------------------------------------------------------------------------------

set.seed(1979)
# Six subjects, four judges: Shrout and Fleiss, Psychol Bull 86:420 (1979), table 2.
ratings <- list(
  shrout = matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7),
                  ncol = 4, byrow = TRUE),
  two_raters = {
    x <- rnorm(30)
    round(cbind(x + rnorm(30, 0, 0.4), x + 0.3 + rnorm(30, 0, 0.4)), 4)
  },
  tiny = matrix(c(1, 2, 4, 3, 7, 8), ncol = 2, byrow = TRUE),
  disagree = matrix(c(1, 5, 3, 4, 2, 3, 2, 4, 5, 1, 3, 2), ncol = 3),
  binary = matrix(c(1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0), ncol = 3, byrow = TRUE)
)
kappa <- list(
  two = list(first = c(0, 0, 1, 1, 1, 0, 1, 0, 0, 1), second = c(0, 1, 1, 1, 0, 0, 1, 0, 0, 1)),
  grades = list(first = sample(1:4, 80, TRUE), second = NULL),
  rare = list(first = c(rep(0, 95), rep(1, 5)), second = c(rep(0, 93), 1, 1, 1, 1, 0, 1, 0)),
  five = list(first = sample(1:5, 40, TRUE), second = sample(1:5, 40, TRUE)),
  tiny = list(first = c(1, 2, 3), second = c(1, 2, 2))
)
kappa$grades$second <- pmin(4, pmax(1, kappa$grades$first + sample(-1:1, 80, TRUE, c(1, 3, 1))))

# Twelve subjects, heart output by two methods: Bland and Altman, Stat Methods Med Res 8:135 (1999),
# table 4.
heart <- matrix(c(
  1, 7.83, 6.57, 1, 7.42, 5.62, 1, 7.89, 6.90, 1, 7.12, 6.57, 1, 7.88, 6.35, 2, 6.16, 4.06,
  2, 7.26, 4.29, 2, 6.71, 4.26, 2, 6.54, 4.09, 3, 4.75, 4.71, 3, 5.24, 5.50, 3, 4.86, 5.08,
  3, 4.78, 5.02, 3, 6.05, 6.01, 3, 5.42, 5.67, 4, 4.21, 4.14, 4, 3.61, 4.20, 4, 3.72, 4.61,
  4, 3.87, 4.68, 4, 3.92, 5.04, 5, 3.13, 3.03, 5, 2.98, 2.86, 5, 2.85, 2.77, 5, 3.17, 2.46,
  5, 3.09, 2.32, 5, 3.12, 2.43, 6, 5.92, 5.90, 6, 6.42, 5.81, 6, 5.92, 5.70, 6, 6.27, 5.76,
  7, 7.13, 5.09, 7, 6.62, 4.63, 7, 6.58, 4.61, 7, 6.93, 5.09, 8, 4.54, 4.72, 8, 4.81, 4.61,
  8, 5.11, 4.36, 8, 5.29, 4.20, 8, 5.39, 4.36, 8, 5.57, 4.20, 9, 4.48, 3.17, 9, 4.92, 3.12,
  9, 3.97, 2.96, 10, 4.22, 4.35, 10, 4.65, 4.62, 10, 4.74, 3.16, 10, 4.44, 3.53, 10, 4.50, 3.53,
  11, 6.78, 7.20, 11, 6.07, 6.09, 11, 6.52, 7.00, 11, 6.42, 7.10, 11, 6.41, 7.40, 11, 5.76, 6.80,
  12, 5.06, 4.50, 12, 4.72, 4.20, 12, 4.90, 3.80, 12, 4.80, 3.80, 12, 4.90, 4.20, 12, 5.10, 4.50
), ncol = 3, byrow = TRUE)
sized <- function(sizes, spread, digits = 5) {
  cluster <- rep(seq_along(sizes), sizes)
  list(values = round(rnorm(length(sizes), 0, spread)[cluster] + rnorm(length(cluster)), digits),
       cluster = cluster)
}
clusters <- list(
  heart = list(values = heart[, 2] - heart[, 3], cluster = heart[, 1]),
  equal = sized(rep(5, 8), 1),
  unequal = sized(c(2, 9, 1, 4, 30, 3, 6, 2), 0.8),
  unlike = list(values = c(1, 5, 2, 4.5, 1.5, 5.2, 2.2, 4), cluster = rep(1:4, each = 2)),
  binary = list(values = c(1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0),
                cluster = c(1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 4, 5)),
  two = sized(c(2, 3), 2)
)
differences <- list(
  ten = round(rnorm(10, 0.3, 1), 4), pair = c(1, 3), ties = c(0, 0, 1, 1, 1, -1, 2),
  many = round(rnorm(200, -2, 3), 3)
)

# --- values ---------------------------------------------------------------------------------------

icc_of <- function(x) {
  found <- suppressWarnings(ICC(x, lmer = FALSE))$results
  list(value = I(found$ICC), low = I(found[["lower bound"]]), high = I(found[["upper bound"]]),
       p = I(found$p))
}

kappa_of <- function(each) {
  names <- sort(unique(c(each$first, each$second)))
  counts <- table(factor(each$first, names), factor(each$second, names))
  of <- function(weights) {
    found <- Kappa(counts, weights = weights)
    list(plain = unname(found$Unweighted), weighted = unname(found$Weighted))
  }
  linear <- of("Equal-Spacing")
  quadratic <- of("Fleiss-Cohen")
  list(plain = I(linear$plain), linear = I(linear$weighted), quadratic = I(quadratic$weighted))
}

limits <- function(d) {
  n <- length(d)
  z <- qnorm(0.975)
  s <- sd(d)
  t <- qt(0.975, n - 1)
  half <- t * s * sqrt(1 / n + z^2 / (2 * (n - 1)))
  inner <- suppressWarnings(qt(c(0.025, 0.975), n - 1, z * sqrt(n))) / sqrt(n)
  list(bias = mean(d), sd = s, upper = mean(d) + z * s, bias_high = mean(d) + t * s / sqrt(n),
       rough = I(mean(d) + z * s + c(-half, half)), exact = I(mean(d) + s * inner))
}

repeated <- function(each) {
  table <- anova(lm(values ~ factor(cluster), as.data.frame(each)))
  m <- table(each$cluster)
  m0 <- (sum(m) - sum(m^2) / sum(m)) / (length(m) - 1)
  between <- max(0, (table[1, 3] - table[2, 3]) / m0)
  s <- sqrt(between + table[2, 3])
  z <- qnorm(0.975)
  bias <- mean(each$values)
  # Zou (2013) with the common size m0.
  total <- between + table[2, 3]
  side <- function(p) {
    sqrt((table[1, 3] / m0 * (table[1, 1] / qchisq(p, table[1, 1]) - 1))^2 +
           ((1 - 1 / m0) * table[2, 3] * (table[2, 1] / qchisq(p, table[2, 1]) - 1))^2)
  }
  off <- tapply(each$values - bias, each$cluster, sum)
  k <- length(m)
  half <- qt(0.975, k - 1) * sqrt(k / (k - 1) * sum(off^2)) / sum(m)
  low <- max(0, total - side(0.975))
  high <- total + side(0.025)
  list(bias = bias, bias_high = bias + half, ms = I(c(table[1, 3], table[2, 3])), divisor = m0,
       between = between, within = table[2, 3], sd = s, limits = I(bias + c(-z, z) * s),
       upper_low = bias + z * s - sqrt(half^2 + z^2 * (s - sqrt(low))^2),
       upper_high = bias + z * s + sqrt(half^2 + z^2 * (sqrt(high) - s)^2))
}

# The exact interval of Wald from the residual sum of squares of generalised least squares: the
# whole covariance matrix is inverted at each trial value.
wald <- function(each, level) {
  y <- each$values
  g <- factor(each$cluster)
  fit <- anova(lm(y ~ g))
  within <- fit[2, 2]
  df <- fit[, 1]
  least <- -1 / (max(table(g)) - 1)
  ratio <- function(r) {
    v <- (1 - r) * diag(length(y)) + r * outer(g, g, "==")
    w <- solve(v)
    centre <- sum(w %*% y) / sum(w)
    rss <- sum((y - centre) * (w %*% (y - centre)))
    ((1 - r) * rss - within) / df[1] / (within / df[2])
  }
  solved <- function(p) {
    off <- function(r) ratio(r) - qf(p, df[1], df[2])
    if (off(least + 1e-7) < 0) return(least)
    uniroot(off, c(least + 1e-7, 1 - 1e-7), tol = 1e-14)$root
  }
  c(solved((1 + level) / 2), solved((1 - level) / 2))
}

values <- list(
  made_with = list(R = R.version.string, psych = as.character(packageVersion("psych")),
                   vcd = as.character(packageVersion("vcd"))),
  icc = lapply(ratings, icc_of),
  kappa = lapply(kappa, kappa_of),
  limits = lapply(differences, limits),
  repeated = lapply(clusters, repeated),
  wald = lapply(clusters, function(each) I(wald(each, 0.95))),
  wald_80 = lapply(clusters, function(each) I(wald(each, 0.80)))
)

data <- list(ratings = ratings, kappa = kappa, clusters = clusters, differences = differences)
cat(json(data), "\n", sep = "", file = "agreement_data.json")
cat(json(values), "\n", sep = "", file = "agreement.json")
