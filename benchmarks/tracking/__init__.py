"""Programs that track the same trials, ours and a peer's; benchmarks/tracked.py runs them side by side."""
