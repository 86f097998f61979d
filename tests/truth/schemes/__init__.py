"""For each scheme: cases whose answers were worked out on paper."""
