# Reference values for paired scores and effect sizes.
# Run in this folder: Rscript paired.R (base R and the package coin).
# Writes paired_data.json (the data sets) and paired.json (the values).

suppressPackageStartupMessages(library(coin))

json <- function(x) {
  if (is.list(x)) {
    inner <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(inner, collapse = ", "), "]"))
    return(paste0("{", paste0('"', names(x), '": ', inner, collapse = ", "), "}"))
  }
  text <- if (is.character(x)) paste0('"', x, '"') else
    ifelse(is.finite(x), sprintf("%.17g", x), "null")
  if (length(x) == 1 && !inherits(x, "AsIs")) text else
    paste0("[", paste(text, collapse = ", "), "]")
}

# --- data -----------------------------------------------------------------------------------------

set.seed(1945)
differences <- list(
  untied = round(rnorm(15, 0.4, 1), 4),
  tiny = c(1.5, 2.25, -0.5, 4, 3),
  pair = c(-1, 3),
  one_way = c(0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
  outlier = c(-0.3, 0.2, 0.5, 0.7, -0.1, 900),
  fifty = round(rnorm(50, 0.2, 1), 5),
  ties = c(1, 1, -1, 2, 2, 2, -2, 3, 3, 5),
  zeros = c(0, 1, 1, -2, 3, 4, 0, 5),
  mostly_zeros = c(rep(0, 12), 1, 2, 2, -1),
  accuracies = c(0.83, 0.90, 0.75, 0.9, 0.6, 0.71, 0.8) -
    c(0.81, 0.88, 0.76, 0.9, 0.57, 0.7, 0.82),
  forty_rounded = round(rnorm(40, 0.2, 1), 1),
  large = rnorm(150, 0.1, 1),
  large_rounded = round(rnorm(150, 0.1, 1), 1)
)
untied <- c("untied", "tiny", "pair", "one_way", "outlier", "fifty")

cluster_data <- function(sizes, spread, digits) {
  cluster <- rep(seq_along(sizes), sizes)
  list(differences = round(0.2 + rnorm(length(sizes), 0, spread)[cluster] +
                             rnorm(length(cluster)), digits), cluster = cluster)
}
clusters <- list(
  equal = cluster_data(rep(4, 8), 0.7, 6),
  unequal = cluster_data(c(1, 2, 9, 3, 5, 1, 12, 4, 7, 2, 3), 0.8, 6),
  ties_and_zeros = cluster_data(c(3, 6, 2, 8, 1, 4, 5, 2, 9, 10), 0.6, 0),
  one_giant = cluster_data(c(60, 2, 3, 2, 1, 4, 3), 0.5, 2),
  unlike = list(differences = c(1, -2, 3, -4, 5, -6.5, 7, -8, 2.5, -1.5, 1.2, -3.3),
                cluster = rep(1:6, each = 2))
)
groups <- list(
  cliff = list(first = c(10, 10, 20, 20, 20, 30, 30, 30, 40, 50),
               second = c(10, 20, 30, 40, 40, 50)),
  untied = list(first = round(rnorm(12, 0.5), 4), second = round(rnorm(30), 4)),
  tiny = list(first = c(1, 4), second = c(2, 3)),
  lopsided = list(first = round(rnorm(200, 0.3), 1), second = c(-1, 0, 0.2))
)
discordant <- list(few = c(3, 1), even = c(5, 5), none_against = c(6, 0), none_for = c(0, 4),
                   lopsided = c(80, 15), single = c(1, 0))
folds <- list(
  five = list(differences = c(0.02, 0.03, -0.01, 0.04, 0.02, 0.01, 0, 0.05, 0.03, 0.02, -0.02),
              fold = c(1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5),
              cluster = c(1, 1, 2, 3, 4, 5, 5, 6, 6, 7, 8)),
  uneven = list(differences = c(1, 2, 3, 4, 6, 9), fold = c(1, 1, 1, 2, 3, 3),
                cluster = c(1, 1, 2, 3, 4, 5)),
  two = list(differences = c(1, 3, 2, 2.5), fold = c(1, 1, 2, 2), cluster = c(1, 1, 2, 3))
)

# --- values ---------------------------------------------------------------------------------------

signed <- function(d, zero) {
  one <- function(distribution, alternative) {
    as.numeric(pvalue(wilcoxsign_test(d ~ rep(0, length(d)), distribution = distribution,
                                      zero.method = zero, alternative = alternative)))
  }
  list(exact = one("exact", "two.sided"), exact_greater = one("exact", "greater"),
       exact_less = one("exact", "less"), normal = one("asymptotic", "two.sided"),
       normal_greater = one("asymptotic", "greater"))
}

shift <- function(d) {
  found <- function(...) suppressWarnings(wilcox.test(d, exact = TRUE, ...))
  at95 <- found(conf.int = TRUE, conf.level = 0.95)
  at80 <- found(conf.int = TRUE, conf.level = 0.80)
  # A level that so few differences cannot reach R replaces by the largest one that they can.
  reached <- function(level) 1 - 2 * psignrank(max(qsignrank((1 - level) / 2, length(d)), 1) - 1,
                                               length(d))
  list(estimate = unname(at95$estimate), low = at95$conf.int[1], high = at95$conf.int[2],
       reached = reached(0.95), low_80 = at80$conf.int[1], high_80 = at80$conf.int[2],
       reached_80 = reached(0.80), V = unname(found()$statistic),
       p_shifted = found(mu = 0.123)$p.value,
       greater_shifted = found(mu = 0.123, alternative = "greater")$p.value,
       less_shifted = found(mu = -0.217, alternative = "less")$p.value)
}

t_values <- function(d) {
  found <- t.test(d)
  list(p = found$p.value, low = found$conf.int[1], high = found$conf.int[2],
       low_90 = t.test(d, conf.level = 0.9)$conf.int[1],
       above = t.test(d, mu = -0.5, alternative = "greater")$p.value,
       below = t.test(d, mu = 0.5, alternative = "less")$p.value)
}

standardised <- function(d) {
  n <- length(d)
  t <- mean(d) / sd(d) * sqrt(n)
  centre <- function(p) {
    uniroot(function(ncp) pt(t, n - 1, ncp) - p, c(t - 40, t + 40), tol = 1e-13)$root / sqrt(n)
  }
  list(d = mean(d) / sd(d), low = centre(0.975), high = centre(0.025),
       factor = if (n > 2) gamma((n - 1) / 2) / (sqrt((n - 1) / 2) * gamma((n - 2) / 2)) else NA,
       above_half = pt(t, n - 1, 0.5 * sqrt(n), lower.tail = FALSE))
}

rank_biserial <- function(d) {
  d <- d[d != 0]
  V <- suppressWarnings(wilcox.test(d, exact = FALSE)$statistic)
  unname(2 * V / (length(d) * (length(d) + 1) / 2) - 1)
}

# Rosner, Glynn and Lee (2006), from the ranks of R and the mean squares of lm().
rosner <- function(d, cluster, null) {
  x <- round(d - null, 10)  # ties that differ in their last bits are ties
  keep <- x != 0
  x <- x[keep]
  g <- factor(cluster[keep])
  s <- sign(x) * rank(abs(x))
  m <- nlevels(g)
  size <- as.numeric(table(g))
  total <- tapply(s, g, sum)
  plain <- sum(total) / sqrt(sum(total^2))
  fit <- anova(lm(s ~ g))
  m0 <- (sum(size) - sum(size^2) / sum(size)) / (m - 1)
  between <- (fit[1, 3] - fit[2, 3]) / m0
  r <- max(0, between / (between + fit[2, 3]))
  r <- min(1, r * (1 + (1 - r^2) / (m - 2.5)))
  weighted <- total / size * size / (1 + (size - 1) * r)
  z <- sum(weighted) / sqrt(sum(weighted^2))
  list(plain_z = plain, plain_p = 2 * pnorm(-abs(plain)),
       rosner_z = z, rosner_p = 2 * pnorm(-abs(z)))
}

clustered <- function(each) {
  d <- each$differences
  walsh <- outer(d, d, "+") / 2
  list(estimate = median(walsh[upper.tri(walsh, diag = TRUE)]),
       at_zero = rosner(d, each$cluster, 0), at_tenth = rosner(d, each$cluster, 0.1))
}

delta <- function(each) {
  x <- each$first
  y <- each$second
  n <- length(x)
  m <- length(y)
  U <- unname(suppressWarnings(wilcox.test(x, y)$statistic))
  d <- 2 * U / (n * m) - 1
  over <- sign(outer(x, y, "-"))
  rows <- var(rowMeans(over))
  columns <- var(colMeans(over))
  cells <- sum((over - d)^2) / ((n - 1) * (m - 1))
  v <- ((m - 1) * rows + (n - 1) * columns + cells) / (n * m)
  t <- qt(0.975, n + m - 2)
  ends <- d - d^3 + c(-1, 1) * t * sqrt(v) * sqrt((1 - d^2)^2 + t^2 * v)
  list(delta = d, rows = rows, columns = columns, cells = cells, variance = v,
       low = ends[1] / (1 - d^2 + t^2 * v), high = ends[2] / (1 - d^2 + t^2 * v))
}

odds <- function(count) {
  found <- binom.test(count[1], sum(count))
  ends <- found$conf.int / (1 - found$conf.int)
  # Each pair of a method's outcomes is a stratum of the exact conditional Mantel-Haenszel test.
  strata <- c(rep(list(matrix(c(1, 0, 0, 1), 2)), count[1]),
              rep(list(matrix(c(0, 1, 1, 0), 2)), count[2]))
  exact <- if (min(count) > 0 && sum(count) < 20)
    mantelhaen.test(array(unlist(strata), c(2, 2, sum(count))), exact = TRUE) else NULL
  list(p = found$p.value, low = ends[1], high = ends[2],
       mantel = if (is.null(exact)) NA else unname(exact$estimate),
       mantel_low = if (is.null(exact)) NA else exact$conf.int[1],
       mantel_high = if (is.null(exact)) NA else exact$conf.int[2])
}

corrected <- function(each) {
  unit <- aggregate(differences ~ cluster + fold, as.data.frame(each), mean)
  mean_of <- tapply(unit$differences, unit$fold, mean)
  k <- length(mean_of)
  t <- mean(mean_of) / sqrt((1 / k + 1 / (k - 1)) * var(mean_of))
  list(statistic = t, p = 2 * pt(-abs(t), k - 1))
}

json_data <- json(list(differences = differences, clusters = clusters, groups = groups,
                       discordant = discordant, folds = folds))
# Differences of accuracies are tied but for their last bits, which ranks in R do not forgive.
differences$accuracies <- round(differences$accuracies, 10)

values <- list(
  made_with = list(R = R.version.string, coin = as.character(packageVersion("coin"))),
  signed_rank = lapply(differences, function(d)
    list(wilcox = signed(d, "Wilcoxon"), pratt = signed(d, "Pratt"))),
  shift = lapply(differences[untied], shift),
  paired_t = lapply(differences, t_values),
  standardised = lapply(differences, standardised),
  rank_biserial = lapply(differences, rank_biserial),
  clustered = lapply(clusters, clustered),
  delta = lapply(groups, delta),
  odds = lapply(discordant, odds),
  corrected = lapply(folds, corrected)
)

cat(json_data, "\n", sep = "", file = "paired_data.json")
cat(json(values), "\n", sep = "", file = "paired.json")
