"""What is wrong with a data set: labels that are likely wrong, images that are there twice, tests that were seen."""

FOLDS = 4
THRESHOLD = 0.88  # similarity from which two images count as near-duplicates: see docs/data_quality.md
SHOWN = 600  # findings of each kind on the page, which then has about 8 MB; all of CIFAR-10's duplicated test images
