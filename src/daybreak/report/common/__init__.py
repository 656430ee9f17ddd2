"""What all reports share: pages, figures' style, rounding, reading of tables."""
