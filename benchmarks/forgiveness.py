"""What Daybreak forgives: each keyword and column of a run changed in each way.

``python -m benchmarks.forgiveness`` writes the table of ``docs/forgives.md``; a test holds that it
is what comes out.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "science")]

from forgiveness import CHANGES, Forgiveness, table  # noqa: E402

BEGIN, END = "<!-- forgiveness:begin -->", "<!-- forgiveness:end -->"


def main() -> int:
    """Make the table."""
    page = ROOT / "docs" / "forgives.md"
    with tempfile.TemporaryDirectory() as folder:
        forgiveness = Forgiveness(Path(folder))
        outcomes = {case: forgiveness.outcome(case) for case in forgiveness.cases()}
    head = ["| where | what | " + " | ".join(CHANGES) + " |", "|---" * (2 + len(CHANGES)) + "|"]
    rows = [*head, *table(forgiveness.good, outcomes)]
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = "\n".join([before + BEGIN, *rows, END + after])
    page.write_text(text, encoding="utf-8")
    print(f"{len(outcomes)} changes, {len(rows) - 2} rows in {page}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
