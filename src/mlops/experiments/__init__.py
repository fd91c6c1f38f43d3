"""Runs of notebooks and scripts as DVC experiments: commits under refs/exps, made without touching the working tree."""
