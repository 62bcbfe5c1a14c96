# One fit by rstanarm, brms or glmmTMB with its defaults:
#   Rscript packages.R PACKAGE TABLE FORMULA ZERO FAMILY SEED DRAWS ANSWER
# Writes JSON: seconds, settings, and draws of the coefficients, standard deviations and dispersion as (draw, chain).
words <- commandArgs(TRUE)
package <- words[1]; zero <- words[4]; family <- words[5]; seed <- as.integer(words[6]); draws <- as.integer(words[7])
data <- read.csv(words[2])
formula <- as.formula(words[3])
options(mc.cores = parallel::detectCores())
length_of_chains <- if (draws > 0) list(iter = 2 * draws) else list()

# What each package writes for the family.
inflated <- family == "zero_inflated_negative_binomial"
families <- list(
  rstanarm = list(negative_binomial = quote(rstanarm::neg_binomial_2()), poisson = quote(poisson()), bernoulli = quote(binomial())),
  glmmTMB = list(negative_binomial = quote(glmmTMB::nbinom2()), poisson = quote(poisson()), bernoulli = quote(binomial()),
                 zero_inflated_negative_binomial = quote(glmmTMB::nbinom2())),
  brms = list(negative_binomial = quote(brms::negbinomial()), poisson = quote(poisson()), bernoulli = quote(brms::bernoulli()),
              zero_inflated_negative_binomial = quote(brms::zero_inflated_negbinomial()))
)
if (is.null(families[[package]][[family]])) stop(package, " has no ", family)
its_family <- eval(families[[package]][[family]])

# Draws of everything that is no effect of a single level.
counted <- function(array) {
  names <- dimnames(array)[[3]]
  keep <- names[!grepl("^(b\\[|r_|z_|lp__|log-posterior|lprior|mean_PPD|Intercept$|L_|accept_stat__)", names)]
  setNames(lapply(keep, function(name) unname(as.matrix(array[, , name]))), keep)
}

notes <- "its own default priors"
compiling <- 0
if (package == "rstanarm") {
  suppressMessages(library(rstanarm))
  sampling <- system.time(
    fit <- do.call(stan_glmer, c(list(formula, data = data, family = its_family, seed = seed, refresh = 0), length_of_chains)))[["elapsed"]]
  found <- counted(as.array(fit$stanfit))
  settings <- list(chains = dim(as.array(fit))[2], draws = dim(as.array(fit))[1])
} else if (package == "brms") {
  suppressMessages(library(brms))
  whole <- if (inflated) bf(formula, as.formula(paste("zi", zero))) else bf(formula)
  compiling <- system.time(empty <- brm(whole, data = data, family = its_family, chains = 0))[["elapsed"]]
  sampling <- system.time(fit <- do.call(update, c(list(empty, recompile = FALSE, chains = 4, seed = seed, refresh = 0), length_of_chains)))[["elapsed"]]
  found <- counted(as.array(fit$fit))
  settings <- list(chains = dim(as.array(fit$fit))[2], draws = dim(as.array(fit$fit))[1])
} else {
  zero_formula <- if (inflated) as.formula(zero) else ~0
  sampling <- system.time(fit <- glmmTMB::glmmTMB(formula, ziformula = zero_formula, data = data, family = its_family))[["elapsed"]]
  invisible(capture.output(print(summary(fit))))
  found <- list()
  settings <- list()
  notes <- "maximum likelihood: a point estimate"
}
answer <- list(draws = found, compile = compiling, sample = sampling, settings = settings, notes = notes)
writeLines(jsonlite::toJSON(answer, auto_unbox = TRUE, digits = NA), words[8])
