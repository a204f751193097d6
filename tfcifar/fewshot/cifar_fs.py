"""The classes of CIFAR-FS: CIFAR-100 in 64 meta-train, 16 meta-validation and 20 meta-test classes.

Source: Bertinetto, Henriques, Torr and Vedaldi 2019, "Meta-learning with differentiable closed-form solvers",
arXiv:1805.08136; the lists as torchmeta has them (torchmeta/datasets/assets/cifar100/cifar-fs), with TFDS' names.
"""

_WORDS = {
    "train": (
        "apple aquarium_fish bear bee bottle bowl boy bridge bus can castle caterpillar chair clock cloud cockroach "
        "couch cup dinosaur dolphin elephant forest girl hamster house kangaroo keyboard lawn_mower lion lizard "
        "lobster mountain mouse mushroom oak_tree orange orchid palm_tree pear pine_tree plate porcupine possum "
        "rabbit raccoon ray road seal shrew skunk skyscraper snake spider squirrel streetcar sunflower tank tiger "
        "train trout tulip turtle willow_tree wolf"
    ),
    "validation": (
        "beaver beetle butterfly camel cattle crab crocodile flatfish lamp maple_tree motorcycle otter sea shark "
        "television tractor"
    ),
    "test": (
        "baby bed bicycle chimpanzee fox leopard man pickup_truck plain poppy rocket rose snail sweet_pepper table "
        "telephone wardrobe whale woman worm"
    ),
}
CIFAR_FS = {part: tuple(words.split()) for part, words in _WORDS.items()}
