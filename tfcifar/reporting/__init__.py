"""JSON and CSV -> figures and reports; no model runs here."""
