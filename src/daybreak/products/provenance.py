"""Where a product came from: versions, configuration, inputs, written into the product itself."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib import metadata
from typing import Any

from daybreak._version import __version__

_PACKAGES = (
    "gammapy", "astropy", "numpy", "scipy", "regions", "iminuit", "parsl", "matplotlib",
    "astropy-healpix", "numba",
)  # fmt: skip


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Daybreak, Python and the libraries whose code makes the numbers."""
    found = {"daybreak": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def provenance(step: str, config_digest: str, inputs: dict[str, str]) -> dict[str, Any]:
    """The provenance block that every product carries.

    Parameters
    ----------
    step
        Name of the step that made it.
    config_digest
        Digest of the whole resolved configuration.
    inputs
        Input name to SHA-256.
    """
    return {
        "step": step,
        "config_digest": config_digest,
        "inputs": dict(sorted(inputs.items())),
        "versions": versions(),
    }


def header_cards(block: dict[str, Any]) -> list[tuple[str, str]]:
    """The same block as FITS header cards (key, value), values cut to fit a card.

    Parameters
    ----------
    block
        As of `provenance`.
    """
    cards = [
        ("CREATOR", f"daybreak {block['versions']['daybreak']}"),
        ("DBSTEP", str(block["step"])[:60]),
        ("DBCONF", str(block["config_digest"])[:64]),
    ]
    for name, version in block["versions"].items():
        if name != "daybreak":
            cards.append(("HISTORY", f"version {name} {version}"[:70]))
    for name, digest in block["inputs"].items():
        cards.append(("HISTORY", f"input {name[:30]} sha256 {digest[:24]}"[:70]))
    return cards
