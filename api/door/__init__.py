"""What every request passes before and after its route: limits, keys, request ids, headers, dispatch, logs."""
