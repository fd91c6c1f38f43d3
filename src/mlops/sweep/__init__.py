"""Sweeps: Optuna over the params that policy.yaml names, each finished trial an experiment of DVC's."""
