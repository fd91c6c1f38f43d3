"""Experiments and versions as runs of other trackers: MLflow, Weights & Biases. Git stays where they are kept."""
