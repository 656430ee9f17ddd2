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


def warm() -> dict[str, float]:
    """Make the tables and compile the kernels that a scan needs, for this user and for good.

    Returns
    -------
    dict
        What was made ready, and the seconds that it took: next to none if it was there.
    """
    import time

    from daybreak.neutrino.likelihood import jitter, models

    begin = time.perf_counter()
    jitter.tables()
    made = time.perf_counter()
    models.compile_fit()
    return {"time tables": made - begin, "track fit": time.perf_counter() - made}
