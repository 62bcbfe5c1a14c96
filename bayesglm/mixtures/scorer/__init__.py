"""Scorer: the log predictive density of an exported mixture, with NumPy alone and nothing else of the package.

The file that `MixtureFit.export` writes holds weights, means and Cholesky factors; this folder, copied as it is to where rows
come in, reads and scores it. For a part b of a row and component k, in standardised columns z,

    Student-t, jointly:       log c_k - (nu_k + d) / 2 log(1 + |L_k^-1 (z - m_k)|^2 / nu_k)
    Student-t, independent:   the same for each column, added
    Student-t over a scale:   log sum_g s_kg int Gamma(u; g/2, g/2) t(z; m_kg, (1/u + 1/kappa_kg) L_kg L_kg') du
    Poisson:                  log of a gamma mixture of Poisson(e rate), for count x and exposure e, column by column
    negative binomial:        log sum_g s_kg of a beta mixture of NegativeBinomial(c_g e, p), column by column
    categories:               log p_kl

and log p(x) = log sum_k w_k exp(sum_b ...) plus the log Jacobian of transform and standardisation. What is missing is left out of
z, m and L L'; principal components are taken first where the mixture is one of them.
"""

from .counts import BetaNegativeBinomial, GammaPoisson  # noqa: TID252 - the folder is copied as it is
from .gammas import log_rising  # noqa: TID252
from .scorer import FORMAT, Scorer  # noqa: TID252
from .students import joint, log_sum, scale_mixture  # noqa: TID252

__all__ = ["FORMAT", "BetaNegativeBinomial", "GammaPoisson", "Scorer", "joint", "log_rising", "log_sum", "scale_mixture"]
