"""Measurements behind docs/benchmarks.md; `make bench` or `python -m benchmarks [NAME …]`."""
