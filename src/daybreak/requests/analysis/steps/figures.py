"""Every figure that the tables allow."""

from __future__ import annotations

from pathlib import Path

from daybreak.report.analysis.figures import draw_figures
from daybreak.requests.analysis.steps.common import Inputs, Outputs, Params, settings


def figures(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Draw the figures into a folder.

    Parameters
    ----------
    inputs
        ``context``; the tables lie beside it.
    outputs
        ``figures``, the folder.
    params
        Of the step; the settings tell the formats.
    """
    formats = settings(params).report.formats
    draw_figures(Path(inputs["context"]).parent, outputs["figures"], formats)
