"""Trainings: one, and all of a comparison."""
