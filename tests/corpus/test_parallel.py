"""Work in processes, and what their pool says while they work."""

from __future__ import annotations

import sys
import time
import warnings

from timbrel.corpus.parallel import run_parallel, worker_pool
from timbrel.progress import silent


def test_a_process_that_grows_is_replaced_without_a_word_and_no_task_is_lost() -> None:
    # Within the test, since the pool's processes cannot import it.
    def growing(number: int, megabytes: int) -> int:
        """Keep some memory, as long as the pool waits between looks at how much there is."""
        vars(sys).setdefault("kept", []).append(bytearray(b"\1") * (megabytes << 20))
        time.sleep(1.1)
        return number

    tasks = [(number, 400 if number % 3 == 2 else 1) for number in range(6)]
    with warnings.catch_warnings(record=True) as heard, worker_pool(None, 2):
        warnings.simplefilter("always")
        done = run_parallel(growing, tasks, silent, "growing")
    assert sorted(done) == list(range(6))
    assert not [one for one in heard if issubclass(one.category, UserWarning)]
