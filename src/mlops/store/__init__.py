"""What a commit's dvc.lock names, and the bytes behind it: from DVC's cache or from remote storage, always verified."""
