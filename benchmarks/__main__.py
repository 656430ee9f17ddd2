"""``make bench``: the quick benchmarks; says how to run the long ones."""

from __future__ import annotations

from benchmarks import coverage, pulls

LONGER = """The long ones, which need the H.E.S.S. public data:
  .venv/bin/python -m benchmarks.blank_fields   the 45 blank fields, a minute
  .venv/bin/python -m benchmarks.speed          speed and memory against a script, half an hour
More nights: .venv/bin/python -m benchmarks.pulls --nights 400"""


def main() -> int:
    """Run the quick ones; 1 if a requirement is not met."""
    codes = [pulls.main([]), coverage.main([])]
    print(LONGER)
    return max(codes)


if __name__ == "__main__":
    raise SystemExit(main())
