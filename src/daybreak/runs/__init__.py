"""What was observed: run catalogue, targets, selection with reasons."""
