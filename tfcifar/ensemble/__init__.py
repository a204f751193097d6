"""Several trained runs as one classifier: votes, weights, stacking, selection, and what each member adds."""

VOTES = ("hard", "soft", "weighted", "stacked")
