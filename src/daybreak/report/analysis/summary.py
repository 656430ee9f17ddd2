"""The answer in a few lines of text, for the terminal and for e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _number(value: Any, form: str) -> str:
    return "n/a" if value is None else format(value, form)


def summary_lines(results: Mapping[str, Any]) -> list[str]:
    """The main results in plain sentences.

    Parameters
    ----------
    results
        Content of ``results.json``.
    """
    counts = results["counts"]
    hours = counts["livetime_h"]
    lines = [
        f"{results['target']['name']}: {_number(counts['significance'], '.1f')} sigma in "
        f"{_number(hours, '.2f')} h, ON {_number(counts['n_on'], '.0f')}, "
        f"OFF {_number(counts['n_off'], '.0f')}, alpha {_number(counts['alpha'], '.4f')}"
    ]
    left = results["runs_left_out"]
    lines.append(f"runs: {len(results['runs'])} used, {len(left)} left out")
    lines += [
        f"  left out: {x['file'] if x['obs_id'] < 0 else 'run ' + str(x['obs_id'])}: {x['reason']}"
        for x in left[:10]
    ]
    if len(left) > 10:
        lines.append(f"  … and {len(left) - 10} more, see the report")
    return lines
