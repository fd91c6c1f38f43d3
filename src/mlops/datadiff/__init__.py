"""What differs between the raw tables of two commits: rows, labels, columns, schema, sides of the split."""
