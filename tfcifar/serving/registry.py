"""The models that are being served: loaded at the start, added and retired while requests go on."""

import asyncio
import logging
import multiprocessing
import signal
import time
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.prediction.opened import Loader
from tfcifar.serving.errors import RequestError
from tfcifar.serving.metrics import Metrics
from tfcifar.serving.repository import Key, artifact_in, read_arguments, state_of, versions_in
from tfcifar.serving.served import ServedModel
from tfcifar.serving.settings import Settings

logger = logging.getLogger(__name__)


class Registry:
    """All versions of all models.

    Raises:
        InputError: an artefact that was named cannot be loaded, or no model at all can. A broken version in a
            repository is logged and passed over.
    """

    def __init__(self, settings: Settings, loader: Loader, metrics: Metrics):
        self.settings, self.loader, self.metrics = settings, loader, metrics
        sources = read_arguments(settings.models)
        self.repositories = sources.repositories
        self.models: dict[Key, ServedModel] = {}  # those of repositories in the order of their folders' names
        self.places: dict[Key, tuple[Path, Path]] = {}  # of models from repositories: version folder, repository
        self.seen: dict[Key, tuple] = {}  # states of folders that were not loaded when last looked at
        self.broken: dict[Key, tuple] = {}  # states of folders that could not be loaded
        self.retired: list[ServedModel] = []
        for key, path in sources.fixed.items():
            self._add(key, path)
        self.refresh(settled=True)
        if not self.models:
            raise InputError(f"{', '.join(settings.models)}: no model in it that can be served.")

    def get(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """A model by name and version; the first one named at the start and the highest version where not said.

        Raises:
            RequestError: 404. Names only look up what is loaded; they never become a path.
        """
        versions = self.versions(next(iter(self.models), ("",))[0] if name is None else name)
        if version is None:
            return versions[-1]
        for model in versions:
            if str(model.version) == version:
                return model
        raise RequestError(
            404, f"no such version of the model; there are {', '.join(str(m.version) for m in versions)}."
        )

    def versions(self, name: str) -> list[ServedModel]:
        """All versions of a model, the lowest first. Raises RequestError: 404."""
        found = [model for key, model in self.models.items() if key[0] == name]
        if not found:
            raise RequestError(404, f"no such model; there are {', '.join(self.names())}.")
        return sorted(found, key=lambda model: model.version)

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.models))

    def refresh(self, settled: bool = False) -> list[ServedModel]:
        """Look into the repositories: load what is new, drop what is gone. Blocks while models load.

        Args:
            settled: load at once; otherwise a folder must have been the same at the look before, so that a model
                that is still being copied is not loaded in halves.

        Returns:
            Models dropped: requests that hold them may still go on.
        """
        found: dict[Key, tuple[Path, Path]] = {}
        unread: list[Path] = []
        for root in self.repositories:
            versions, errors = versions_in(root)
            found |= {key: (folder, root) for key, folder in versions.items()}
            for path, error in errors.items():  # a network drive that is away for a moment: what is loaded goes on
                logger.error("%s cannot be read: %s", path, error)
                unread.append(path)
        for key, (folder, root) in found.items():
            if key not in self.models:
                self._consider(key, folder, root, settled)
        gone = [key for key, (folder, _) in self.places.items()
                if key not in found and not any(folder.is_relative_to(path) for path in unread)]  # fmt: skip
        dropped = [self.models[key] for key in gone]
        if gone:
            self.models = {key: model for key, model in self.models.items() if key not in gone}
            self.places = {key: place for key, place in self.places.items() if key not in gone}
            logger.info("unloaded %s", ", ".join(f"{name} version {version}" for name, version in gone))
        return dropped

    async def watch(self) -> None:
        """Look for new versions every `settings.poll` seconds, for ever. A worker whose parent was killed ends."""
        parent, loop = multiprocessing.parent_process(), asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.settings.poll)
            if parent is not None and not parent.is_alive():
                logger.error("the parent process is gone")
                signal.raise_signal(signal.SIGTERM)
                return
            if self.repositories:
                for model in await asyncio.to_thread(self.refresh):
                    self.retired.append(model)
                    loop.call_later(self.settings.timeout, self._end, model)  # no request holds it any longer

    def close(self) -> None:
        """Answer what is queued and end all worker threads; waits for them."""
        models = [*self.models.values(), *self.retired]
        for model in models:
            model.batcher.close()
        for model in models:
            model.batcher.join()

    def _consider(self, key: Key, folder: Path, root: Path, settled: bool) -> None:
        try:
            state = state_of(folder)
        except OSError:  # something in it was removed while we looked; the next look will tell
            return
        if state == self.broken.get(key):
            return
        if not settled and state != self.seen.get(key):
            self.seen[key] = state
            return
        try:
            path = artifact_in(folder, root)
            self.places[key] = (folder, root)
            self._add(key, path)
        except Exception as error:  # whatever is wrong with one version, the others are served
            logger.error("%s version %d cannot be loaded: %s", *key, error)
            self.places.pop(key, None)
            self.broken[key] = state

    def _end(self, model: ServedModel) -> None:
        model.batcher.close()
        self.retired.remove(model)

    def _rank(self, key: Key) -> tuple:
        """Models that were named come first, as they came; which is the first one depends on no time of loading."""
        if key not in self.places:
            return (-1,)
        return (self.repositories.index(self.places[key][1]), key)

    def _add(self, key: Key, path: Path) -> None:
        started = time.perf_counter()
        model = ServedModel(*key, path, self.loader, self.settings, self.metrics)
        models = {**self.models, key: model}
        # Replaced, never changed: the event loop reads it meanwhile.
        self.models = {key: models[key] for key in sorted(models, key=self._rank)}
        logger.info("loaded %s version %d from %s in %.1f s", *key, path, time.perf_counter() - started)
