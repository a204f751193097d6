"""New classes from a handful of images: methods behind one interface, episodes to judge them by, meta-training."""

# Name -> where the class is, and in a line what it does; the simplest first. Cheap, so that --help is instant.
BASELINES = {
    "prototype": ("tfcifar.fewshot.methods.prototype:Prototype", "the nearest mean of each class' features"),
    "linear_probe": ("tfcifar.fewshot.methods.linear_probe:LinearProbe", "logistic regression on the features"),
    "fine_tune": ("tfcifar.fewshot.methods.fine_tune:FineTune", "the linear probe, then steps with all weights"),
}
META_LEARNED = {
    "anil": ("tfcifar.fewshot.methods.anil:Anil", "features from which steps of the head alone lead far"),
    "fomaml": ("tfcifar.fewshot.methods.maml:FirstOrderMaml", "MAML without second derivatives"),
    "reptile": ("tfcifar.fewshot.methods.reptile:Reptile", "moves the weights towards each task's own"),
    "maml": ("tfcifar.fewshot.methods.maml:Maml", "weights from which few steps lead far; second order"),
}
METHODS = BASELINES | META_LEARNED
