"""Read the pages: commands, their expected output and exit code, files and Python in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(`{3,})[ ]*(\{code-block\} )?([\w-]+)?[ ]*$")
_EXIT = re.compile(r"^# exit code (\d+)$")


@dataclass
class Block:
    """A fenced block: language, options such as ``:caption:``, lines."""

    language: str
    options: dict[str, str]
    lines: list[str]


@dataclass
class Command:
    """A command as it stands in a page, the output shown below it, and its exit code."""

    text: str
    shown: list[str] = field(default_factory=list)
    exit_code: int = 0


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    found: list[Block] = []
    fence = ""
    for line in text.splitlines():
        if not fence:
            match = _FENCE.match(line)
            if match:
                fence = match[1]
                found.append(Block(match[3] or "", {}, []))
        elif line.strip() == fence:
            fence = ""
        elif not found[-1].lines and (option := re.match(r"^:([\w-]+): (.*)$", line)):
            found[-1].options[option[1]] = option[2]
        else:
            found[-1].lines.append(line)
    return found


def commands(block: Block) -> list[Command]:
    """Commands of a console block, lines that end in a backslash joined."""
    found: list[Command] = []
    going_on = False
    for line in block.lines:
        if going_on:
            found[-1].text += line.removesuffix("\\")
            going_on = line.endswith("\\")
        elif line.startswith("$ "):
            found.append(Command(line[2:].removesuffix("\\")))
            going_on = line.endswith("\\")
        elif match := _EXIT.match(line):
            found[-1].exit_code = int(match[1])
        elif line.strip():
            found[-1].shown.append(line)
    return found


def pages() -> list[Path]:
    """All pages that a user reads; docs/stores.md is run by tests/stores/test_store_docs.py."""
    docs = sorted((ROOT / "docs").glob("*.md"))
    own = [page for page in docs if page.name != "stores.md"]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *own]
