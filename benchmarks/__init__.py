"""What Daybreak claims about its numbers and its speed, measured; see docs/benchmarks.md."""
