"""What happens: predictions, outcomes, feedback and KPIs, taken in durably and kept once."""
