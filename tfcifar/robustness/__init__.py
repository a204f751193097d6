"""What is left of a classifier's accuracy and calibration when images are not as clean as those it learned from."""

SPLITS = ("test", "validation")
EPSILONS = (1, 2, 4, 8)  # of 255, the largest change of a value under attack
