"""What continuous integration asks for beside the report: an honest dvc.lock, the data to compare, one comment."""
