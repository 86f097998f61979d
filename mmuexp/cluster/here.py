"""What code that runs on a worker asks of it: to tell how far it is, and whether anybody still waits for it."""

from typing import Any


def tell(topic: str, message: Any) -> None:
    """Tell those who listen to the topic. Outside of a worker nobody does."""
    from distributed import get_worker

    try:
        get_worker().log_event(topic, message)
    except ValueError:
        return


def is_wanted() -> bool:
    """Does anybody still wait for what this thread works at? Whoever did may have been interrupted, or killed."""
    from distributed import get_worker

    try:
        worker = get_worker()
        state = worker.state.tasks.get(worker.get_current_task())
    except (ValueError, AttributeError):
        return True
    return state is not None and state.state not in ("cancelled", "released", "forgotten")
