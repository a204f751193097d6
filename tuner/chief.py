"""A search on several machines: KerasTuner's chief hands out trials; none is lost with the worker that had it.

KerasTuner's own chief waits for ever for a worker that has died, and sends the others home while that one's trial may
still come back. This one takes back what a silent worker had, and lets the others wait until every trial has ended.
"""

import os
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute import utils
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine.oracle import LOCKS, THREADS
from keras_tuner.src.engine.trial import Trial, TrialStatus

from pipelines.errors import InputError

VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
MESSAGES_PER_TIMEOUT = 6  # of a worker at work, so that one that comes late does no harm
MOST_WORKERS = 64  # at a time in a call of the chief's


def role() -> str:
    """What this process is by its environment: "alone", "chief" or "worker".

    Raises:
        InputError: some of VARIABLES are set, and others not.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if len(missing) == len(VARIABLES):
        return "alone"
    if missing:
        raise InputError(f"search: expected all of {', '.join(VARIABLES)}, or none; not set: {', '.join(missing)}.")
    return "chief" if utils.is_chief_oracle() else "worker"


def serve(oracle: keras_tuner.Oracle, timeout: float) -> None:
    """Hand out the oracle's trials until each has ended.

    Args:
        timeout: seconds without a word from a worker until its trial goes to another.

    Raises:
        InputError: the address is not to be had.
        RuntimeError: as from a search in one process, when one trial after the other fails.
        Exception: what else has ended the search early, such as a file that cannot be written.
    """
    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    options = [("grpc.so_reuseport", 0)]  # otherwise two may serve at the same address, by turns
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=MOST_WORKERS), options=options)
    chief = Chief(oracle, timeout)
    protos.get_service_grpc().add_OracleServicer_to_server(chief, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise InputError(f"KERASTUNER_ORACLE_IP and _PORT: cannot serve trials at {address} ({error}).") from None
    server.start()
    print(f"chief: serving trials at {address}", flush=True)
    while not chief.ended():
        time.sleep(0.5)
        chief.take_back()
    server.stop(grace=1)
    if chief.failure is not None:
        raise chief.failure


class Chief(OracleServicer):
    """Answers the workers' calls. `failure`: what ended the search early, or None."""

    def __init__(self, oracle: keras_tuner.Oracle, timeout: float):
        super().__init__(oracle)
        self.timeout = timeout
        self.heard: dict[str, float] = {}  # tuner id -> when, monotonic
        self.lock = threading.RLock()
        self.failure: Exception | None = None

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """One call after the other. One that fails ends the search, whose files stay as they are, and blocks no other.

        What the files do not know as ended by then is tried again when the search is.
        """
        with self.lock:
            try:
                yield
            except Exception as error:
                self.failure = self.failure or error
                if THREADS[self.oracle] == threading.current_thread().name:  # KerasTuner's own lock, which it kept
                    THREADS[self.oracle] = None
                    LOCKS[self.oracle].release()

    def CreateTrial(self, request, context):  # noqa: N802, gRPC's name
        trial = Trial(self.oracle.get_space(), status=TrialStatus.STOPPED)
        with self.lock:
            with self._in_turn():
                self.heard[request.tuner_id] = time.monotonic()
                if self.failure is None:
                    trial = self._next_trial(request.tuner_id)
            if trial.status == TrialStatus.STOPPED:  # the worker leaves
                self.heard.pop(request.tuner_id)
                self.oracle.ongoing_trials.pop(request.tuner_id, None)
        if trial.status == TrialStatus.IDLE:
            time.sleep(min(1.0, self.timeout / MESSAGES_PER_TIMEOUT))  # the worker asks again at once
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

    def _next_trial(self, tuner_id: str) -> Trial:
        trial = self.oracle.create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED:
            if self.oracle.ongoing_trials:  # one of which may come back
                trial.status = TrialStatus.IDLE
            else:
                self.stop_triggered = True
        return trial

    def _worker_at(self, trial_id: str) -> str | None:
        return next((name for name, trial in self.oracle.ongoing_trials.items() if trial.trial_id == trial_id), None)

    def GetTrial(self, request, context):  # noqa: N802
        with self.lock:
            tuner_id = self._worker_at(request.trial_id)
            if tuner_id is not None:
                self.heard[tuner_id] = time.monotonic()
        return super().GetTrial(request, context)

    def UpdateTrial(self, request, context):  # noqa: N802
        with self._in_turn():
            if self.failure is None:
                return super().UpdateTrial(request, context)
        trial = self.oracle.get_trial(request.trial_id)
        return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

    def EndTrial(self, request, context):  # noqa: N802
        ended = Trial.from_proto(request.trial)
        with self._in_turn():
            tuner_id = self._worker_at(ended.trial_id)
            if tuner_id is not None:  # otherwise it was taken back and is in the queue, or another worker has ended it
                try:
                    if self.failure is None:
                        self.oracle.end_trial(ended)
                finally:
                    self.oracle.ongoing_trials.pop(tuner_id, None)
        return protos.get_service().EndTrialResponse()

    def take_back(self) -> None:
        """Put the trials of workers that have been silent for too long back in the queue."""
        now = time.monotonic()
        with self._in_turn():
            for tuner_id in [each for each, when in self.heard.items() if now - when > self.timeout]:
                del self.heard[tuner_id]
                trial = self.oracle.ongoing_trials.pop(tuner_id, None)
                if trial is not None and self.failure is None:
                    self.oracle._retry_queue.append(trial.trial_id)
                    self.oracle.save()
                    print(f"chief: no word from {tuner_id}; trial {trial.trial_id} goes to another", flush=True)

    def ended(self) -> bool:
        """Whether every trial has ended, and every worker that is left knows."""
        with self.lock:
            stopped = self.stop_triggered or self.failure is not None
            return stopped and not (self.oracle.ongoing_trials or self.heard)


@contextmanager
def heard_from(oracle: keras_tuner.Oracle, trial_id: str, timeout: float) -> Iterator[None]:
    """While the block runs, let the chief know every now and then that this worker is at its trial."""
    done = threading.Event()

    def tell():
        while not done.wait(timeout / MESSAGES_PER_TIMEOUT):
            oracle.get_trial(trial_id)

    threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        done.set()
