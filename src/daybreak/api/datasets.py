"""Public data sets from Python: which are known, and fetch one."""

from __future__ import annotations

from daybreak.stores.registry import (
    DataFile,
    DataSet,
    FetchResult,
    fetch_dataset,
    known_datasets,
)

__all__ = ["DataFile", "DataSet", "FetchResult", "fetch_dataset", "known_datasets"]
