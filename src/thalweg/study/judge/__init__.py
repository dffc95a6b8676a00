"""What the runs say."""
