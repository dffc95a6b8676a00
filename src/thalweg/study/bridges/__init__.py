"""To and from other tools: Optuna, trackers, tables."""
