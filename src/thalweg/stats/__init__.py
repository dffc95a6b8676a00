"""From results to verdicts: arrays in, small frozen results out."""
