"""What the systems are and how they were trained; the methods that judge them."""

from collections.abc import Callable
from pathlib import Path

from tfcifar.models import MODELS
from tfcifar.recipe import Model, Recipe
from tfcifar.reporting.research.document import Bullets, Document, Heading, Paragraph, Table
from tfcifar.reporting.research.evidence import Evidence, over_seeds
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.reporting.tables import in_words
from tfcifar.run_dir import read_json

# Of the network that a recipe names, by the beginning of its name; of others `MODELS` says what they are.
NETWORKS = {
    "mobilenet_v2": "**MobileNetV2** @cite:sandler2018",
    "mobilenet_v3_small": "**MobileNetV3-Small** @cite:howard2019",
    "mobilenet": "**MobileNet** @cite:howard2017",
    "efficientnet_b0": "**EfficientNet-B0** @cite:tan2019",
    "resnet50": "**ResNet-50** @cite:he2016",
    "fast_cnn": "**The fast network** in the manner of airbench @cite:jordan2024: a first convolution that whitens "
    "patches and is not trained, stages of identity-initialized convolutions with GELU, a max-pooled head with scaled "
    "logits. `fast_cnn_wide` has more channels, `fast_cnn_deep` a third convolution in each block with residual "
    "connections, `fast_cnn_late` also a later pooling.",
    "residual_cnn": "**A residual network** @cite:he2016 of four stages.",
    "attention_cnn": "**The same residual network with attention**: squeeze-and-excitation @cite:hu2018, CBAM "
    "@cite:woo2018 or self-attention @cite:vaswani2017 on its small maps.",
    "small_cnn": "**A small plain network** of three stages.",
}
# What a recipe may use, in words: whether it does, and the sentence.
PARTS: tuple[tuple[Callable[[Recipe], object], str], ...] = (
    (lambda r: r.augment.flip != "none", "horizontal flips (`alternating` ones show each image once as it is and once "
     "mirrored in every two epochs @cite:jordan2024)"),
    (lambda r: r.augment.crop_padding, "random crops from a reflected border"),
    (lambda r: r.augment.shift_fraction or r.augment.rotation_degrees, "small shifts and rotations"),
    (lambda r: r.augment.color_jitter, "colour jitter"),
    (lambda r: r.augment.erasing_probability, "Random Erasing @cite:zhong2020"),
    (lambda r: r.augment.cutout_size, "Cutout @cite:devries2017"),
    (lambda r: r.augment.randaugment_layers, "RandAugment @cite:cubuk2020"),
    (lambda r: r.augment.policy, "a learned policy of augmentations @cite:cubuk2019"),
    (lambda r: r.augment.augmix_chains, "AugMix @cite:hendrycks2020"),
    (lambda r: r.augment.mixup_alpha, "MixUp @cite:zhang2018"),
    (lambda r: r.augment.cutmix_alpha, "CutMix @cite:yun2019"),
    (lambda r: r.augment.label_smoothing, "label smoothing @cite:szegedy2016"),
    (lambda r: r.distill.teachers, "distillation from teachers @cite:hinton2015"),
    (lambda r: r.multi_task.groups, "a second head for groups of classes"),
    (lambda r: r.model.dropout, "dropout before the classifier"),
    (lambda r: r.optimizer.ema_decay, "an exponential moving average of the weights @cite:polyak1992"),
    (lambda r: r.optimizer.swa_epochs, "stochastic weight averaging @cite:izmailov2018"),
    (lambda r: r.small_images.epochs, "first epochs on images of fewer pixels @cite:touvron2019"),
)  # fmt: skip
OPTIMIZERS = {
    "adamw": "AdamW @cite:loshchilov2019",
    "adam": "Adam",
    "muon": "Muon @cite:muon",
    "sgd": "stochastic gradient descent with momentum",
}


def add_systems(document: Document, evidence: Evidence) -> None:
    recipes = [evidence.recipes[runs[0].run_dir.name] for runs in evidence.seeds]
    document.add(
        Heading("Systems"),
        Paragraph(
            f"@table:systems lists the {in_words(len(evidence.systems))} systems. All networks take the image as bytes "
            "and give logits; normalization is part of the model."
        ),
        _table(evidence),
    )
    if recipes:
        document.add(Bullets(tuple(dict.fromkeys(_network(each.model) for each in recipes))))
        _add_training(document, evidence, recipes)
    if evidence.ensembles:
        document.add(Heading("Ensembles", level=2), Paragraph(_ensembles(evidence)))


def _add_training(document: Document, evidence: Evidence, recipes: list[Recipe]) -> None:
    optimizers = ", ".join(dict.fromkeys(OPTIMIZERS[recipe.optimizer.name] for recipe in recipes))
    document.add(
        Heading("Training", level=2),
        Paragraph(
            f"The recipes use {optimizers}. @table:training says what each adds to plain training; the exact values "
            "are in `recipe.json` of each run directory, which the training command takes back as it is."
        ),
        _training_table(evidence),
    )


def _table(evidence: Evidence) -> Table:
    rows = []
    for system in evidence.systems:
        metrics = system.metrics
        recipe = evidence.recipes[system.run_dir.name] if system in evidence.trained else None
        trained_on = "made of runs" if recipe is None else _images(recipe)
        rows.append(
            (
                system.run_dir.name,
                metrics["model"],
                f"{metrics['parameters'] / 1e6:.2f}",
                f"{metrics['macs'] / 1e6:,.0f}",
                trained_on,
                str(recipe.epochs + recipe.transfer.head_epochs) if recipe else "",
            )
        )
    return Table(
        "systems",
        "The systems. Parameters in millions, multiply-accumulates (MACs) of one image in millions; an ensemble has "
        "the sums of its members, MACs of all views.",
        ("system", "model", "parameters (M)", "MACs (M)", "trained on", "epochs"),
        tuple(rows),
        tuple(path for each in evidence.systems for path in (each.run_dir.metrics, _definition(each))),
        text_columns=2,
    )


def _definition(system: EvaluatedRun) -> Path:
    return system.run_dir.ensemble if system.run_dir.ensemble.is_file() else system.run_dir.recipe


def _images(recipe: Recipe) -> str:
    return "train + validation" if recipe.data.train_on_validation else "train"


def _network(model: Model) -> str:
    """The longest beginning of its name that is known, and what a backbone starts from."""
    entry = MODELS[model.name]
    known = [key for key in NETWORKS if model.name.startswith(key)]
    network = NETWORKS[max(known, key=len)] if known else f"`{model.name}`, {entry.description}."
    if not entry.pretrained:
        return network
    start = "pretrained on ImageNet, with a new classifier" if model.weights else "trained from scratch"
    return f"{network}, {start}. Images are resized to {model.image_size or entry.native_size} px inside the model."


def _training_table(evidence: Evidence) -> Table:
    rows = []
    for runs in evidence.seeds:
        recipe = evidence.recipes[runs[0].run_dir.name]
        used = [sentence for has, sentence in PARTS if has(recipe)]
        rows.append((recipe.name, recipe.optimizer.name, "; ".join(used) or "nothing"))
    return Table(
        "training",
        "What the recipes use beyond the network itself.",
        ("recipe", "optimizer", "augmentation and regularization"),
        tuple(rows),
        tuple(runs[0].run_dir.recipe for runs in evidence.seeds),
        text_columns=3,
    )


def _ensembles(evidence: Evidence) -> str:
    contents = [read_json(ensemble.run_dir.ensemble) for ensemble in evidence.ensembles]
    members = sorted({member["name"] for content in contents for member in content["members"]})
    return (
        "An ensemble combines the logits that its members were evaluated with. These votes are compared: **hard**, the "
        "class that most members predict; **soft**, the mean of their probabilities @cite:lakshminarayanan2017; "
        "**weighted**, the mixture of calibrated members with the lowest cross-entropy on the validation images; and "
        "**stacked** (up to 100 classes), a multinomial logistic regression on their log-probabilities "
        "@cite:wolpert1992, whose penalty draws it towards their geometric mean. Greedy selection with replacement "
        "@cite:caruana2006 shows what each member adds, disagreement and Yule's Q @cite:kuncheva2003 how differently "
        "they judge. Weights, penalty and the choice among the votes come from the validation images, whose own "
        "figures are cross-validated in five "
        f"folds. The members here are {', '.join(f'`{name}`' for name in members)}."
    )


def seeds_in_words(evidence: Evidence) -> str:
    """The mean accuracy of each recipe that was trained with more than one seed; "" where there is none."""
    several = [runs for runs in evidence.seeds if len(runs) > 1]
    parts = [
        f"`{evidence.recipes[runs[0].run_dir.name].name}` {over_seeds([run.metrics['accuracy'] for run in runs])}"
        for runs in several
    ]
    return f"Over seeds, as mean and standard deviation: {', '.join(parts)}." if parts else ""
