"""What an analysis would stumble over in a store's runs, in its own words."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from daybreak.stores.layout import Index


def content_findings(
    root: Path, index: Index, broken: Collection[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Read each run as an analysis does.

    Parameters
    ----------
    root
        The store.
    index
        Of a dataset.
    broken
        Files that are missing or damaged: said elsewhere.

    Yields
    ------
    tuple of str
        ``severity``, ``kind``, ``where`` and ``text`` of a finding.
    """
    from daybreak.science.content import run_content
    from daybreak.science.dl3.files import HduLocation
    from daybreak.science.observation import Reading

    hints: dict[str, dict[str, HduLocation]] = {}
    columns = (index.hdu.texts(name) for name in ("HDU_TYPE", "HDU_CLASS", "HDU_NAME"))
    rows = zip(index.hdu_runs, index.hdu_paths, *columns, strict=True)
    for run, path, kind, hdu_class, name in rows:
        if path and kind:
            kind = kind.lower()
            place = HduLocation(kind, hdu_class.lower(), root / path, name)
            hints.setdefault(run, {})[kind] = place
    places = zip(index.obs.floats("RA_PNT"), index.obs.floats("DEC_PNT"), strict=True)
    pointings = dict(zip(index.obs_runs, places, strict=True))
    todo = [
        run
        for run in index.runs
        if run in hints
        and run.lstrip("-").isdigit()
        and not any(path in broken for path in index.files.get(run, ()))
    ]

    def read(run: str) -> tuple[str, list[tuple[str, str]]]:
        place = pointings.get(run, (np.nan, np.nan))
        known = (float(place[0]), float(place[1])) if np.isfinite(place).all() else None
        reason, oddities = run_content(int(run), hints[run], Reading(pointing=known))
        return reason, [(oddity.flag, oddity.text) for oddity in oddities]

    for run in todo:  # one by one: reading sets Python's warnings, which threads share
        reason, odd = read(run)
        if reason:
            yield "error", "unusable", f"run {run}", reason
        for flag, text in odd:
            yield "warning", "odd", f"run {run}", f"{flag}: {text}"
