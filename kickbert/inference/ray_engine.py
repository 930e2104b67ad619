"""Prediction by several processes on one machine or a cluster, as Ray actors.

Ray restarts a worker that dies and repeats its call.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kickbert.inference.predictor import Predictor, reopen
from kickbert.utils.extras import require
from kickbert.utils.limits import cores

RETRIES = 3  # per name, when a worker dies


class _Worker:
    """A process that opens the model once."""

    def __init__(self, function: Callable[[Predictor, str], Any], reopen_args: tuple[Any, ...]):
        self.function = function
        self.model = reopen(*reopen_args)

    def call(self, name: str) -> Any:
        return self.function(self.model, name)


def run_on_ray(
    function: Callable[[Predictor, str], Any], model: Predictor, names: Sequence[str], workers: int | None
) -> Iterator[Any]:
    """Call a function of the model for each name, and yield results as they are ready.

    Args:
        function: function that is pickled and called in the workers.
        model: model that each worker opens once, with an equal share of the cores.
        names: at least one name.
        workers: number of processes, at most one per core and per name; None for the maximum.
    Raises:
        RuntimeError: a call raised an error, or its worker died repeatedly.
    """
    require("ray", extra="ray")
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util import ActorPool

    with _cluster() as cpus:
        workers = min(workers or cpus, cpus, len(names))
        threads = max(1, cpus // workers)
        options = {
            "num_cpus": 1,
            "max_restarts": -1,
            "max_task_retries": RETRIES,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}},
        }
        worker = ray.remote(_Worker).options(**options)
        pool = ActorPool([worker.remote(function, model.reopen_args(threads)) for _ in range(workers)])
        try:
            yield from pool.map_unordered(lambda actor, name: actor.call.remote(name), list(names))
        except RayTaskError as err:
            raise RuntimeError(str(err.cause)) from err
        except RayError as err:
            raise RuntimeError(f"a worker died repeatedly ({err}). Run it again to continue") from err


@contextmanager
def _cluster() -> Iterator[int]:
    """Connect to Ray, unless this process is already connected; yield the number of CPUs.

    Without RAY_ADDRESS in the environment, Ray is started on this machine and stopped at the end.
    """
    import ray

    connected = ray.is_initialized()
    if not connected:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it logs each restart as an error
        if os.environ.get("RAY_ADDRESS"):
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        else:
            paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            ray.init(
                num_cpus=cores(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": paths},
            )
    try:
        yield int(ray.cluster_resources().get("CPU", 1))
    finally:
        if not connected:
            ray.shutdown()
