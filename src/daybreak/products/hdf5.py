"""HDF5 files from outside: opened so that nothing in them is unpickled.

PyTables unpickles attributes that look like pickles when they are read, and a pickle runs code.
"""

from __future__ import annotations

import pickle
from types import ModuleType, SimpleNamespace
from typing import Any

from daybreak.errors import ConfigError

#: what to do where ctapipe or PyTables is missing
INSTALL = "Install it with `pip install 'daybreak[cherenkov]'`."


def _refuse(*_: Any, **__: Any) -> Any:
    raise pickle.UnpicklingError("attributes of files from outside are not unpickled")


def tables_without_pickle() -> ModuleType:
    """PyTables, from then on without unpickling in this process: such attributes stay bytes.

    ctapipe reads and writes its files through the same module. It keeps no pickles in them.

    Raises
    ------
    ConfigError
        If PyTables is not installed.
    """
    try:
        import tables
        from tables import attributeset
    except ImportError:
        raise ConfigError("reading HDF5 files needs PyTables", INSTALL) from None

    if attributeset.pickle is pickle:
        attributeset.pickle = SimpleNamespace(
            loads=_refuse,
            dumps=pickle.dumps,
            UnpicklingError=pickle.UnpicklingError,
            HIGHEST_PROTOCOL=pickle.HIGHEST_PROTOCOL,
        )
    module: ModuleType = tables
    return module
