# Reference values for paired and clustered proportions.
# Run in this folder: Rscript proportions.R (base R and the package survey).
# Writes proportions_data.json (the data sets) and proportions.json (the values).

suppressPackageStartupMessages(library(survey))

number <- function(x)   # the shorter text where it reads back to the same number
  ifelse(as.numeric(sprintf("%.15g", x)) == x, sprintf("%.15g", x), sprintf("%.17g", x))
json <- function(x) {
  if (is.list(x)) {
    inner <- vapply(x, json, "")
    if (is.null(names(x))) return(paste0("[", paste(inner, collapse = ", "), "]"))
    return(paste0("{", paste0('"', names(x), '": ', inner, collapse = ", "), "}"))
  }
  if (is.matrix(x)) return(json(lapply(seq_len(nrow(x)), function(i) unname(x[i, ]))))
  text <- if (is.character(x)) paste0('"', x, '"') else
    ifelse(is.finite(x), number(x), "null")
  if (length(x) == 1) text else
    paste0("[", paste(text, collapse = ", "), "]")
}

# --- data -----------------------------------------------------------------------------------------

# both right, only the first, only the second, neither
tables <- list(
  general = c(60, 17, 4, 19), tied = c(3, 5, 5, 2), tiny = c(1, 2, 0, 1),
  one_sided = c(10, 6, 0, 4), lopsided = c(900, 80, 15, 5), concordant = c(30, 0, 0, 10),
  all_first = c(0, 7, 0, 0), negative_phi = c(2, 12, 9, 1), no_neither = c(40, 3, 8, 0)
)
proportions <- list(none = c(0, 20), all = c(20, 20), few = c(7, 10), one = c(1, 1),
                    many = c(150, 1000), rare = c(3, 2000))

# Counts a, b, c, d of each cluster.  thyroids: PET against SPECT on the glands of 21 patients,
# Obuchowski, Stat Med 17:1495 (1998).
set.seed(1998)
draw <- function(k, sizes, spread) {
  size <- sample(sizes, k, replace = TRUE)
  shift <- rnorm(k, 0, spread)
  count <- sapply(seq_len(k), function(i) {
    p <- plogis(c(1.2, 0.9) + shift[i] + rnorm(2, 0, 0.8))
    cell <- factor(1 + 2 * rbinom(size[i], 1, 1 - p[1]) + rbinom(size[i], 1, 1 - p[2]), 1:4)
    table(cell)
  })
  list(a = unname(count[1, ]), b = unname(count[2, ]), c = unname(count[3, ]),
       d = unname(count[4, ]))
}
clusters <- list(
  thyroids = list(
    a = c(0, 2, 3, 1, 2, 4, 3, 2, 1, 1, 2, 2, 3, 2, 0, 2, 2, 2, 2, 1, 2),
    b = c(0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    c = c(2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0),
    d = c(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0)
  ),
  unequal = draw(40, 1:25, 1.5),
  pairs = draw(60, 2, 0.5),
  few = draw(6, 3:9, 1),
  one_giant = {
    found <- draw(12, 2:5, 1)
    found$a[1] <- 300; found$b[1] <- 60; found$c[1] <- 20; found$d[1] <- 120
    found
  }
)

# --- independent cases ----------------------------------------------------------------------------

wilson <- function(x, n, level = 0.95)
  as.numeric(suppressWarnings(prop.test(x, n, correct = FALSE, conf.level = level))$conf.int)

newcombe <- function(a, b, c, d, level) {   # square-and-add with the continuity-corrected phi
  n <- a + b + c + d
  first <- wilson(a + b, n, level)
  second <- wilson(a + c, n, level)
  p1 <- (a + b) / n
  p2 <- (a + c) / n
  lost <- prod(c(a + b, c + d, a + c, b + d))
  det <- a * d - b * c
  phi <- if (lost == 0) 0 else
    (if (det > n / 2) det - n / 2 else if (det >= 0) 0 else det) / sqrt(lost)
  delta <- sqrt((p1 - first[1])^2 - 2 * phi * (p1 - first[1]) * (second[2] - p2) +
                  (second[2] - p2)^2)
  epsilon <- sqrt((first[2] - p1)^2 - 2 * phi * (first[2] - p1) * (p2 - second[1]) +
                    (p2 - second[1])^2)
  c(p1 - p2 - delta, p1 - p2 + epsilon)
}

# Tango's score by maximising the likelihood under the null numerically.
tango_z <- function(b, c, n, null) {
  if (b - c - n * null == 0) return(0)
  rest <- n - b - c
  slope <- function(q) b / (q + null) + c / q - 2 * rest / (1 - 2 * q - null)
  low <- max(0, -null)
  high <- (1 - null) / 2
  width <- high - low
  at_low <- if (null > 0) (if (c > 0) Inf else b / null - 2 * rest / (1 - null)) else
    if (null < 0) (if (b > 0) Inf else -c / null - 2 * rest / (1 + null)) else
      if (b + c > 0) Inf else -Inf
  q <- if (rest == 0) high else if (at_low <= 0) low else
    uniroot(slope, c(low + width * 1e-14, high - width * 1e-14), tol = 1e-16)$root
  (b - c - n * null) / sqrt(n * (2 * q + null * (1 - null)))
}
tango <- function(b, c, n, level) {
  z <- qnorm((1 + level) / 2)
  effect <- (b - c) / n
  end <- function(target, from) if (effect == from) from else
    uniroot(function(v) tango_z(b, c, n, v) - target, sort(c(effect, from * (1 - 1e-9))),
            tol = 1e-14)$root
  c(end(z, -1), end(-z, 1))
}
bonett_price <- function(b, c, n, level) {
  p <- (c(b, c) + 1) / (n + 2)
  half <- qnorm((1 + level) / 2) * sqrt((sum(p) - diff(p)^2) / (n + 2))
  pmin(1, pmax(-1, p[1] - p[2] + c(-half, half)))
}
midp <- function(b, c) {   # summed over all tables at most as likely, the observed two halved
  mass <- dbinom(0:(b + c), b + c, 0.5)
  mine <- mass[b + 1]
  far <- abs(0:(b + c) - (b + c) / 2) > abs(b - c) / 2
  same <- abs(0:(b + c) - (b + c) / 2) == abs(b - c) / 2
  sum(mass[far]) + sum(mass[same]) / 2 + if (b == c) mine / 2 else 0
}

paired <- lapply(tables, function(x) {
  a <- x[1]; b <- x[2]; c <- x[3]; d <- x[4]
  found <- list(
    bonett_price = bonett_price(b, c, sum(x), 0.95), newcombe = newcombe(a, b, c, d, 0.95),
    newcombe_90 = newcombe(a, b, c, d, 0.90), tango = tango(b, c, sum(x), 0.95)
  )
  if (b + c == 0) return(found)
  chi <- suppressWarnings(mcnemar.test(matrix(c(a, c, b, d), 2), correct = FALSE))
  c(found, list(
    chi = unname(chi$statistic), p_asymptotic = chi$p.value,
    p_exact = binom.test(b, b + c)$p.value,
    p_greater = binom.test(b, b + c, alternative = "greater")$p.value,
    p_less = binom.test(b, b + c, alternative = "less")$p.value, p_mid = midp(b, c),
    tango_z = tango_z(b, c, sum(x), 0.1)
  ))
})
single <- lapply(proportions, function(x) list(
  wilson = wilson(x[1], x[2]), exact = as.numeric(binom.test(x[1], x[2])$conf.int),
  wilson_90 = wilson(x[1], x[2], 0.9)
))

# --- clustered cases ------------------------------------------------------------------------------

clustered <- lapply(clusters, function(x) {
  n <- x$a + x$b + x$c + x$d
  N <- sum(n)
  K <- length(n)
  one <- x$a + x$b
  two <- x$a + x$c
  bar <- sum(one + two) / (2 * N)   # Obuchowski's variance under the null, as she writes it
  cov_null <- function(u, v) K / (K - 1) * sum((u - n * bar) * (v - n * bar)) / N^2
  variance <- cov_null(one, one) + cov_null(two, two) - 2 * cov_null(one, two)
  effect <- (sum(one) - sum(two)) / N
  obuchowski <- effect^2 / variance
  b_rate <- sum(x$b) / N
  c_rate <- sum(x$c) / N
  gap <- x$b - x$c
  yang <- (K - 1) / K * sum(gap)^2 /
    (0.5 * sum((gap - n * (b_rate - c_rate))^2 + gap^2))
  w <- gap / n
  z <- function(v, method) switch(method,
    pooled = sum(gap - n * v) / sqrt(sum((gap - n * v)^2)),
    obuchowski = sqrt((K - 1) / K) * sum(gap - n * v) / sqrt(sum((gap - n * v)^2)),
    yang = sqrt((K - 1) / K) * sum(gap - n * v) /
      sqrt(0.5 * sum((gap - n * v)^2) + 0.5 * sum((gap - n * effect)^2)),
    durkalski = sum(w - v) / sqrt(sum((w - v)^2)))
  ends <- function(method) {
    centre <- if (method == "durkalski") mean(w) else effect
    out <- c(-1, 1) * 1e4
    if (abs(z(out[1], method)) < qnorm(0.975)) return(c(-Inf, Inf))
    end <- function(target, from)
      uniroot(function(v) z(v, method) - target, sort(c(centre, from)), tol = 1e-15)$root
    c(end(qnorm(0.975), out[1]), end(qnorm(0.025), out[2]))
  }
  methods <- c("pooled", "obuchowski", "yang", "durkalski")
  cases <- data.frame(cluster = rep(seq_len(K), n),
                      right = unlist(mapply(function(r, m) rep(1:0, c(r, m - r)), one, n)))
  design <- svydesign(ids = ~cluster, weights = ~1, data = cases)
  mean <- svymean(~right, design)
  p <- as.numeric(coef(mean))
  se2 <- as.numeric(vcov(mean))
  worth <- N / max(1, se2 / (p * (1 - p) / (N - 1)))
  used <- worth * (qt(0.975, N - 1) / qt(0.975, degf(design)))^2
  list(
    chi = list(pooled = obuchowski * K / (K - 1), obuchowski = obuchowski, yang = yang,
               durkalski = mean(w)^2 / (sum(w^2) / K^2)),
    interval = setNames(lapply(methods, ends), methods),
    survey_se = sqrt(se2), worth = worth,
    wilson = wilson(p * used, used),
    exact = c(qbeta(0.025, p * used, (1 - p) * used + 1),
              qbeta(0.975, p * used + 1, (1 - p) * used))
  )
})

cat(json(list(tables = tables, proportions = proportions, clusters = clusters)), "\n",
    sep = "", file = "proportions_data.json")
cat(json(list(
  made_with = list(R = R.version.string, survey = as.character(packageVersion("survey"))),
  paired = paired, single = single, clustered = clustered
)), "\n", sep = "", file = "proportions.json")
