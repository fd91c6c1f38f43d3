"""What happens to rows before features: checked, set aside, given a key and a side, searched for leaks."""
