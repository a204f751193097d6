"""JSON and CSV -> figures and reports; computes nothing."""
