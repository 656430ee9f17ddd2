"""Names of DL1 files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from daybreak.errors import ConfigError

_SUFFIXES = (
    ".gz",
    ".zst",
    ".bz2",
    ".simtel",
    ".fits",
    ".fz",
    ".h5",
    ".hdf5",
    ".root",
    ".dl0",
    ".r1",
)


def dl1_names(files: Iterable[Path], out: Path) -> dict[Path, Path]:
    """Where the DL1 file of each input goes: its name with ``.dl1.h5``.

    Parameters
    ----------
    files
        The inputs.
    out
        Folder for the DL1 files.

    Raises
    ------
    ConfigError
        If two inputs have the same name.
    """
    found: dict[Path, Path] = {}
    for path in files:
        name = path.name
        while any(name.lower().endswith(suffix) for suffix in _SUFFIXES) and "." in name[1:]:
            name = name.rpartition(".")[0]
        target = out / f"{name or path.name}.dl1.h5"
        if target in found.values():
            raise ConfigError(
                f"two of the files would be made into {target.name}",
                "Give them other folders: run the command once for each.",
            )
        found[path] = target
    return found
