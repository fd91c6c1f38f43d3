"""Whether a version is better than another: one judgement, for promotion, comparison and the pull request's report."""
