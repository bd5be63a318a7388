# Reference values for tests and probabilities from printed summaries.
# Run in this folder: Rscript published.R (base R only).
# Writes published.json (the inputs and the values).

number <- function(x)   # the shorter text where it reads back to the same number
  ifelse(as.numeric(sprintf("%.15g", x)) == x, sprintf("%.15g", x), sprintf("%.17g", x))
json <- function(x) {
  if (is.list(x)) {
    inner <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(inner, collapse = ", "), "]"))
    return(paste0("{", paste0('"', names(x), '": ', inner, collapse = ", "), "}"))
  }
  text <- if (is.character(x)) paste0('"', x, '"') else
    ifelse(is.finite(x), number(x), "null")
  if (length(x) == 1) text else paste0("[", paste(text, collapse = ", "), "]")
}

# --- t tests on data made to have the printed means, spreads and correlation ----------------------

set.seed(2024)
exact <- function(n, mean, sd) mean + sd * as.vector(scale(rnorm(n)))
pair <- function(n, m1, m2, s1, s2, r) {
  z1 <- as.vector(scale(rnorm(n)))
  z2 <- residuals(lm(rnorm(n) ~ z1))
  z2 <- as.vector(scale(z2))
  list(m1 + s1 * z1, m2 + s2 * (r * z1 + sqrt(1 - r^2) * z2))
}
summaries <- list(
  lists = c(26.48864, 6.89493, 919, 25.17862, 5.15055, 919),
  small = c(2.73, 1.30, 3, 8.02, 1.56, 57),
  equal = c(0.8, 0.1, 12, 0.8, 0.2, 12),
  tiny = c(0.91, 0.01, 2, 0.86, 0.03, 2),
  unlike = c(-3.5, 0.001, 5, 12.25, 40, 200)
)
t_tests <- lapply(summaries, function(s) {
  x <- exact(s[3], s[1], s[2]); y <- exact(s[6], s[4], s[5])
  w <- t.test(x, y); p <- t.test(x, y, var.equal = TRUE)
  list(summary = s,
       welch = c(w$p.value, unname(w$parameter), w$conf.int),
       student = c(p$p.value, unname(p$parameter), p$conf.int))
})
pairs <- list(c(5, 0.9, 0.85, 0.05, 0.07, 0.6), c(40, 0.7, 0.71, 0.2, 0.1, -0.3),
              c(3, 12, 10, 2, 2, 0.9))
paired <- lapply(pairs, function(s) {
  xy <- pair(s[1], s[2], s[3], s[4], s[5], s[6])
  t <- t.test(xy[[1]], xy[[2]], paired = TRUE)
  list(summary = s, test = c(t$p.value, t$conf.int))
})

# --- rank tests by the normal law, without ties -----------------------------------------------------

groups <- list(list(c(1.5, 3.2, 8.1, 9.9, 4.4, 7.3, 2.2, 6.1, 5.8), c(2.5, 9.1, 12.3, 14.2, 8.8, 10.1,
                                                                   7.9, 6.6, 11.5, 13.7)),
               list(1:8, 9:20), list(c(seq(1, 39, 2)), c(seq(2, 60, 2))))
rank_sum <- lapply(groups, function(g) {
  a <- wilcox.test(g[[1]], g[[2]], exact = FALSE, correct = TRUE)
  b <- wilcox.test(g[[1]], g[[2]], exact = FALSE, correct = FALSE)
  list(u = unname(a$statistic), n = c(length(g[[1]]), length(g[[2]])), p = c(a$p.value, b$p.value))
})
differences <- list(c(-1, 2, 3, -4, 5, 6, 7, 8, -9, 10), c(seq(1, 21), -22, -23), c(-3, 1, -2))
signed_rank <- lapply(differences, function(d) {
  a <- wilcox.test(d, exact = FALSE, correct = TRUE)
  b <- wilcox.test(d, exact = FALSE, correct = FALSE)
  list(w = unname(a$statistic), n = length(d), p = c(a$p.value, b$p.value))
})

# --- McNemar over all pairings, intervals, posteriors -----------------------------------------------

accuracies <- list(c(37, 32, 204), c(44, 38, 242), c(2775, 2766, 2908), c(5, 5, 10), c(10, 0, 10))
mcnemar <- lapply(accuracies, function(a) {
  d <- abs(a[1] - a[2])
  most <- min(min(a[1:2]), a[3] - max(a[1:2]))
  p <- sapply(c(0, most), function(c) if (2 * c + d == 0) 1 else
    binom.test(c, 2 * c + d)$p.value)
  list(counts = a, p = p)
})
wilson <- lapply(list(c(8, 10), c(0, 7), c(86, 94), c(1938, 2040)), function(a)
  list(counts = a, interval = as.vector(prop.test(a[1], a[2], correct = FALSE)$conf.int)))
means <- lapply(list(c(0.8, 26, 0.1), c(0.55, 154, 0.25), c(0.9, 3, 0.02)), function(a)
  list(summary = a, interval = a[1] + c(-1, 1) * qt(0.975, a[2] - 1) * a[3] / sqrt(a[2])))
orders <- lapply(list(c(0.8, 0.75, 100, 0.7), c(0.95, 0.9, 20, 0.9), c(0.6, 0.6, 50, 0.4)),
                 function(a) list(rates = a, p = pbeta(0.5, a[3] * (a[1] - a[4]) + 1,
                                                       a[3] * (a[2] - a[4]) + 1)))

values <- list(r = R.version.string, t_tests = t_tests, paired = paired, rank_sum = rank_sum,
               signed_rank = signed_rank, mcnemar = mcnemar, wilson = wilson, means = means,
               orders = orders)
cat(json(values), "\n", sep = "", file = "published.json")
