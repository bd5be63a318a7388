# Reference values for areas under ROC curves.
# Run in this folder: Rscript auc.R (base R and the package pROC).
# Writes auc_data.json (the data sets) and auc.json (the values).

suppressPackageStartupMessages(library(pROC))

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
  if (length(x) == 1) text else paste0("[", paste(text, collapse = ", "), "]")
}

# --- data: labels and the scores of three methods -------------------------------------------------

set.seed(1988)
draw <- function(positive, negative, gain, digits) {
  labels <- rep(c(1, 0), c(positive, negative))
  shared <- rnorm(length(labels))
  scores <- sapply(gain, function(g) round(0.7 * shared + 0.7 * rnorm(length(labels)) +
                                             g * labels, digits))
  list(labels = labels, scores = scores)
}
sets <- list(
  plain = draw(45, 60, c(1.2, 0.8, 0.5), 6),
  ties = draw(60, 80, c(1.0, 0.7, 0.1), 0),
  tiny = list(labels = c(1, 1, 1, 0, 0, 0, 0),
              scores = cbind(c(5, 2, 4, 1, 3, 2, 0), c(3, 3, 6, 3, 1, 4, 2), c(1, 2, 3, 4, 5, 2, 1))),
  imbalanced = draw(5, 2000, c(1.5, 1.0, 0.3), 2),
  near_one = draw(30, 40, c(3.2, 2.9, 2.2), 3),
  inverted = draw(25, 25, c(-1.0, -0.3, 0.0), 1)
)

# --- values ---------------------------------------------------------------------------------------

curve <- function(set, k)
  roc(set$labels, set$scores[, k], levels = c(0, 1), direction = "<", quiet = TRUE)

values <- lapply(sets, function(set) {
  curves <- lapply(1:3, function(k) curve(set, k))
  aucs <- vapply(curves, function(r) as.numeric(auc(r)), 0)
  covariance <- outer(1:3, 1:3, Vectorize(function(i, j)
    if (i == j) pROC::var(curves[[i]], method = "delong") else
      pROC::cov(curves[[i]], curves[[j]], method = "delong")))
  se <- sqrt(diag(covariance))
  half <- qnorm(0.975) * se / (aucs * (1 - aucs))
  wald <- t(vapply(curves, function(r) as.numeric(ci.auc(r, method = "delong"))[c(1, 3)], c(0, 0)))
  paired <- lapply(list(c(1, 2), c(1, 3), c(2, 3)), function(k) {
    test <- roc.test(curves[[k[1]]], curves[[k[2]]], paired = TRUE, method = "delong")
    list(pair = k - 1, z = unname(test$statistic), p = test$p.value,
         interval = as.numeric(test$conf.int))
  })
  list(aucs = aucs, covariance = covariance, wald = wald,
       logit = cbind(plogis(qlogis(aucs) - half), plogis(qlogis(aucs) + half)), paired = paired)
})

unpaired <- lapply(list(c("plain", "ties"), c("tiny", "near_one"), c("imbalanced", "inverted")),
  function(names) {
    test <- suppressWarnings(roc.test(curve(sets[[names[1]]], 1), curve(sets[[names[2]]], 2),
                                      paired = FALSE, method = "delong"))
    list(sets = names, t = unname(test$statistic), df = unname(test$parameter), p = test$p.value)
  })

cat(json(sets), "\n", sep = "", file = "auc_data.json")
cat(json(list(
  made_with = list(R = R.version.string, pROC = as.character(packageVersion("pROC"))),
  values = values, unpaired = unpaired
)), "\n", sep = "", file = "auc.json")
