"""Is it still as promised: each new bucket counted once, streams against the plan's limits, findings kept."""
