"""Track likelihoods behind one small protocol; see :mod:`daybreak.neutrino.likelihood.base`."""

from __future__ import annotations

from daybreak.neutrino.likelihood.base import (
    FIT_DTYPE,
    Fit,
    Likelihood,
    Prepared,
    Vertex,
)
from daybreak.neutrino.likelihood.known_models import get_likelihood

__all__ = ["FIT_DTYPE", "Fit", "Likelihood", "Prepared", "Vertex", "get_likelihood"]
