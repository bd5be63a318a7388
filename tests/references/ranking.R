# Reference values for several methods over blocks: Friedman, post-hoc tests, two-way tables, ranks.
# Run in this folder: Rscript ranking.R (base R, and the package jsonlite to read the data).
# Reads ranking_data.json, writes ranking.json.

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

data <- jsonlite::fromJSON("ranking_data.json")

# --- ranks in blocks --------------------------------------------------------------------------------

orders <- function(v) {
  if (length(v) < 2) return(matrix(v, 1))
  do.call(rbind, lapply(seq_along(v), function(i) cbind(v[i], orders(v[-i]))))
}

# Share of all arrangements of ranks inside blocks (ties kept) with as large a statistic.  The first
# block may stand as it is: only how the others lie to it counts.
exact_friedman <- function(r) {
  sums <- r[1, , drop = FALSE]
  for (i in seq_len(nrow(r))[-1]) {
    o <- orders(r[i, ])
    sums <- sums[rep(seq_len(nrow(sums)), each = nrow(o)), , drop = FALSE] +
      o[rep(seq_len(nrow(o)), nrow(sums)), ]
  }
  observed <- sum(colSums(r)^2)
  mean(rowSums(sums^2) >= observed - 1e-9)
}

blocks <- function(x) {
  n <- nrow(x)
  k <- ncol(x)
  r <- t(apply(x, 1, rank))
  f <- friedman.test(x)
  chi2 <- unname(f$statistic)
  f_id <- (n - 1) * chi2 / (n * (k - 1) - chi2)
  ties <- sum(apply(r, 1, function(v) { t <- table(v); sum(t^3 - t) }))
  pairs <- combn(k, 2)
  d <- colMeans(r)[pairs[1, ]] - colMeans(r)[pairs[2, ]]
  # The spread in friedman.test's own statistic, with its correction for ties.
  z <- d / sqrt((n * k * (k + 1) - ties / (k - 1)) / (6 * n^2))
  p <- 2 * pnorm(-abs(z))
  df <- (n - 1) * (k - 1)
  conover <- sqrt(2 * (n * sum(r^2) - sum(colSums(r)^2)) / df) / n
  t <- d / conover
  control <- 2 * pnorm(-abs(z[pairs[2, ] == k]))
  long <- data.frame(y = as.vector(x), block = factor(rep(seq_len(n), k)),
                     arm = factor(rep(seq_len(k), each = n)))
  fit <- aov(y ~ block + arm, long)
  tukey <- TukeyHSD(fit, "arm")$arm
  out <- list(chi2 = chi2, p = f$p.value, f = f_id, p_f = pf(f_id, k - 1, df, lower.tail = FALSE),
              ranks = colMeans(r), effects = d, z = z, p_z = p, p_holm = p.adjust(p, "holm"),
              p_nemenyi = ptukey(abs(z) * sqrt(2), k, Inf, lower.tail = FALSE),
              cd = qtukey(0.95, k, Inf) / sqrt(2) * sqrt(k * (k + 1) / (6 * n)),
              t_conover = t, p_conover = 2 * pt(-abs(t), df),
              p_control_holm = p.adjust(control, "holm"),
              anova_f = summary(fit)[[1]]["arm", "F value"],
              anova_p = summary(fit)[[1]]["arm", "Pr(>F)"],
              residual_sd = sqrt(summary(fit)[[1]]["Residuals", "Mean Sq"]),
              tukey_effects = -tukey[, "diff"], tukey_p = tukey[, "p adj"],
              tukey_low = -tukey[, "upr"], tukey_high = -tukey[, "lwr"])
  if (factorial(k)^(n - 1) <= 1e6) out$p_exact <- exact_friedman(r)
  out
}

# --- blocks with repeats ----------------------------------------------------------------------------

repeats <- function(x) {
  n <- dim(x)[1]
  k <- dim(x)[2]
  long <- data.frame(y = as.vector(x), block = factor(slice.index(x, 1)),
                     arm = factor(slice.index(x, 2)))
  fit <- aov(y ~ block * arm, long)
  table <- summary(fit)[[1]]
  rownames(table) <- trimws(rownames(table))
  strata <- summary(aov(y ~ arm + Error(block / arm), long))[["Error: block:arm"]][[1]]
  fixed <- TukeyHSD(fit, "arm")$arm
  cells <- aggregate(y ~ block + arm, long, mean)
  random <- TukeyHSD(aov(y ~ block + arm, cells), "arm")$arm
  # The first arm against the mean of the others, by least squares on the cells.
  weights <- c(1, rep(-1 / (k - 1), k - 1))
  contrast <- function(model, count) {
    ms <- sum(residuals(model)^2) / model$df.residual
    estimate <- sum(weights * tapply(long$y, long$arm, mean))
    t <- estimate / sqrt(ms * sum(weights^2) / count)
    c(estimate, 2 * pt(-abs(t), model$df.residual))
  }
  list(arm_fixed = unlist(table["arm", c("F value", "Pr(>F)")]),
       block = unlist(table["block", c("F value", "Pr(>F)")]),
       interaction = unlist(table["block:arm", c("F value", "Pr(>F)")]),
       arm = unlist(strata[1, c("F value", "Pr(>F)")]),
       residual_sd = sqrt(table["Residuals", "Mean Sq"]),
       fixed_effects = I(-fixed[, "diff"]), fixed_p = I(fixed[, "p adj"]),
       fixed_low = I(-fixed[, "upr"]), fixed_high = I(-fixed[, "lwr"]),
       random_effects = I(-random[, "diff"]), random_p = I(random[, "p adj"]),
       random_low = I(-random[, "upr"]), random_high = I(-random[, "lwr"]),
       contrast_fixed = contrast(fit, n * dim(x)[3]),
       contrast_random = contrast(aov(y ~ block + arm, cells), n))
}

q <- c(0.5, 2, 3.5, 5, 9)
two <- data$blocks$plain[, 1:2]
paired <- t.test(two[, 1], two[, 2], paired = TRUE)

cat(json(list(
  made_with = list(R = R.version.string),
  blocks = lapply(data$blocks, blocks),
  repeats = lapply(data$repeats, repeats),
  kendall = lapply(data$rankings, function(x) cor(x[1, ], x[2, ], method = "kendall")),
  paired = list(p = paired$p.value, low = paired$conf.int[1], high = paired$conf.int[2]),
  ptukey = list(q = q, k3_inf = ptukey(q, 3, Inf, lower.tail = FALSE),
                k6_df4 = ptukey(q, 6, 4, lower.tail = FALSE),
                k10_df20 = ptukey(q, 10, 20, lower.tail = FALSE))
)), "\n", sep = "", file = "ranking.json")
