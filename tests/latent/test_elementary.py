"""Elementary functions that are written out are those of SciPy, at the ends of the number line too."""

from __future__ import annotations

import numpy as np
import pytensor
import pytensor.tensor as pt
from scipy import special

from bayesglm.latent.elementary import OPERATIONS
from bayesglm.latent.lockfree import LOCK_FREE

PLAIN = {"exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sigmoid": special.expit,
         "softplus": lambda x: np.logaddexp(0.0, x)}


def test_they_are_exact_to_a_few_units_in_the_last_place() -> None:
    x = pt.vector("x")
    outputs = {"exp": pt.exp(x), "expm1": pt.expm1(x), "log": pt.log(x), "log1p": pt.log1p(x), "sigmoid": pt.sigmoid(x),
               "softplus": pt.softplus(x)}
    function = pytensor.function([x], list(outputs.values()), mode=LOCK_FREE)
    used = {str(node.op.scalar_op) for node in function.maker.fgraph.toposort() if hasattr(node.op, "scalar_op")}
    assert len(used & {str(each) for each in OPERATIONS.values()}) == len(outputs), used
    rng = np.random.default_rng(1)
    values = np.concatenate([
        rng.uniform(-700, 700, 20_000), rng.normal(size=20_000), np.exp(rng.uniform(-700, 700, 20_000)),
        -1 + rng.uniform(0, 1e-3, 100), 10.0 ** np.arange(-320, 308), -(10.0 ** np.arange(-320, 3)),
        1 + 1e-9 * rng.normal(size=100), [0.0, 709.7, 709.79, -708.3, -745.0, np.inf, -np.inf, np.nan, 1.0, -1.0],
    ])
    for name, found in zip(outputs, function(values), strict=True):
        with np.errstate(all="ignore"):
            expected = PLAIN[name](values)
        # Results that are subnormal are 0 here.
        np.testing.assert_allclose(found, expected, rtol=2e-15, atol=1e-306, err_msg=name)
