"""Where results live: one file, written while trainings run."""
