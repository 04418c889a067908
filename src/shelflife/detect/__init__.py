"""Is it different? Pure mathematics on counts: bets against promises, limits, sequential detection, estimates."""

from shelflife.detect.betting import OnsetTest, bets, log_e, onset_test, rows_to_detect, spread

__all__ = ["OnsetTest", "bets", "log_e", "onset_test", "rows_to_detect", "spread"]
