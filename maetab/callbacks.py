"""The tasks of a fit, as the callbacks of scikit-learn are told of them, where it has callbacks."""

from __future__ import annotations

from typing import Any

from maetab.progress import Progress, Record
from maetab.state import Estimator, twin_of

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9: estimators have no `set_callbacks`

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def with_callbacks(method: Any) -> Any:
        """Return a method as it is."""
        return method


def without_callbacks(estimator: Estimator) -> Estimator:
    """Return another estimator with the same attributes, but for its callbacks."""
    twin: Any = twin_of(estimator)
    return twin.set_callbacks() if hasattr(twin, "set_callbacks") else twin


# Stages that the fit of any estimator has at most: reading the table, first guess, network,
# calibration, and one of its own.
MOST_STAGES = 5


class Tasks:
    """Reports the stages of a fit, and the checks of held-out cells in that of the network.

    Callbacks are told of each stage as a task of the fit, and of each check, with the steps of
    training before it, as a task of its stage. `history_` of the estimator that they are given
    grows while it is trained.

    Parameters
    ----------
    estimator : that is fitted
    progress : is told as well, if there is one
    X, y : as given to fit
    """

    def __init__(self, estimator: Any, progress: Progress | None, X: Any, y: Any) -> None:
        self.estimator, self.progress, self.given = estimator, progress, {"X": X, "y": y}
        self.what = ""
        self.open: list[Any] = []  # tasks: the fit, its stage, a check
        estimator.history_ = []
        self.supported = hasattr(estimator, "set_callbacks")
        if self.supported:
            self._begin(estimator._init_callback_context(max_subtasks=MOST_STAGES))

    def __call__(self, what: str, share: float = 0.0, n_checks: int = 0) -> None:
        """Report what is being done and which share of it is done, see `Progress`.

        n_checks : checks that it has at most; the second call of a stage and the first one after a
            check begin the next
        """
        if self.progress is not None:
            self.progress(what, share)
        if not self.supported:
            return
        if what != self.what:
            self.what = what
            self._end(1)
            self._begin(self.open[0].subcontext(what, max_subtasks=n_checks))
        elif n_checks and len(self.open) == 2:
            self._begin(self.open[1].subcontext("check"))

    def record(self, record: Record) -> bool:
        """Report a check; return whether a callback asks to train no longer."""
        if self.progress is not None:
            self.progress.record(record)
        self.estimator.history_.append(record)
        return self.supported and self._end(2)

    def end(self) -> None:
        """Report that the estimator is fitted; callbacks may have a copy of it."""
        if self.supported:
            self._end(1)
            self._end(0, reconstruction_attributes={})

    def _begin(self, task: Any) -> None:
        self.open.append(task)
        task.call_on_fit_task_begin(estimator=self.estimator, **self.given)

    def _end(self, n_left: int, **more: Any) -> bool:
        """End the innermost tasks, all but so many; return whether a callback asks to stop."""
        stops = False
        while len(self.open) > n_left:
            task = self.open.pop()
            stops |= task.call_on_fit_task_end(estimator=self.estimator, **self.given, **more)
        return stops
