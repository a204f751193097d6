"""The data that a recipe names, opened and divided."""

import dataclasses

from pipelines.errors import NotAtHandError
from pipelines.sources import Source, open_source
from pipelines.splits import Splits, make_splits
from tfcifar.recipe import Data


def open_recipe_source(data: Data) -> tuple[Source, Data]:
    """The recipe's data source; with `data.fallback`, that one in its place where it cannot be had, and says so."""
    try:
        return open_source(data.dataset, data.data_dir, data.image_size, data.cache), data
    except NotAtHandError as error:
        if data.fallback is None:
            raise
        print(
            f"NOTE: {error}\nNOTE: running on the {data.fallback} source instead of {data.dataset}.",
            flush=True,
        )
        return open_recipe_source(dataclasses.replace(data, dataset=data.fallback, fallback=None))


def open_splits(data: Data) -> tuple[Splits, Data]:
    """The splits that `data` describes, and `data` as it was opened: see `open_recipe_source`."""
    source, data = open_recipe_source(data)
    splits = make_splits(
        source,
        data.validation_fraction,
        data.split_seed,
        data.train_on_validation,
        data.folds,
        data.fold,
        data.train_fraction,
    )
    return splits, data
