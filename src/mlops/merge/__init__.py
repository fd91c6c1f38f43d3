"""Two branches' dvc.lock made one: stage by stage, as a merge driver of Git. A stage that both made is made again."""
