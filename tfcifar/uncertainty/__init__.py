"""How sure a classifier is, whether it is wrong where it is unsure, and whether it notices foreign images."""

# Larger is less certain in all of them, so "max_probability" stands as what is missing to 1. See `measures`.
ENTROPY, BALD = "predictive_entropy", "mutual_information"
MEASURES = (ENTROPY, "expected_entropy", BALD, "1 - max_probability", "variation_ratio")
SINGLE_MEASURES = (ENTROPY, "1 - max_probability")  # of one prediction; there the others are 0 or the same
# Where predictions come from: one pass, several passes with dropout, several networks.
SINGLE, MC_DROPOUT, ENSEMBLE = "single", "mc_dropout", "ensemble"
DETECTORS = ("max_softmax", "energy", "mahalanobis", "knn")
SPLITS = ("validation", "test")
