"""A table as a page shows it: headings, units, and cells that are text already."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A column of a page's table: heading, unit, whether it holds numbers, and its CSS class."""

    label: str
    unit: str = ""
    numeric: bool = True
    style: str = ""


@dataclass(frozen=True)
class TableView:
    """A table of the page, all cells ready as text."""

    caption: str
    columns: list[Column]
    rows: list[list[str]]
    folded: str = ""
    marked: list[bool] = field(default_factory=list)
