"""Draw the figures of an analysis again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daybreak.errors import ConfigError, ProductError
from daybreak.products.atomic import ensure_folder

_FORMATS = ("svg", "png", "pdf")


def figures(
    folder: Path | str, *, formats: Sequence[str] = ("svg",), to: Path | None = None
) -> list[Path]:
    """Draw every figure that the tables in ``folder/results`` allow.

    Parameters
    ----------
    folder
        Output folder of an analysis.
    formats
        ``svg``, ``png``, ``pdf``.
    to
        Where to draw; by default ``folder/figures``.

    Returns
    -------
    list of pathlib.Path
        The files drawn.

    Raises
    ------
    ProductError
        If there are no result tables.
    ConfigError
        For an unknown format.
    """
    folder = Path(folder)
    unknown = [f for f in formats if f not in _FORMATS]
    if unknown:
        raise ConfigError(f"unknown figure format {unknown[0]!r}", f"Known: {', '.join(_FORMATS)}.")
    if not (folder / "results" / "context.json").is_file():
        raise ProductError(
            f"{folder} holds no finished analysis (no results/context.json)",
            "Give the folder that `daybreak analyse -o` wrote to.",
        )
    from daybreak.report.analysis.figures import draw_figures

    target = ensure_folder(to if to is not None else folder / "figures")
    return draw_figures(folder / "results", target, tuple(formats))
