"""Classes of the script can be pickled, in this process and for its children, to the very end."""

from __future__ import annotations

import pytest

from tests.runner.conftest import assert_alike

HEAD = """
import pickle

class Sample:
    def __init__(self, value):
        self.value = value

def round_trip(where):
    print(where, pickle.loads(pickle.dumps(Sample(3))).value, Sample.__module__, flush=True)
"""

PLACES = {
    "running": "round_trip('running')",
    "atexit": "import atexit; atexit.register(round_trip, 'atexit')",
    "late thread": """
import threading, time
threading.Thread(target=lambda: (time.sleep(0.2), round_trip('thread'))).start()
""",
}


@pytest.mark.parametrize("place", PLACES)
def test_round_trip(script, place):
    assert "3 __main__" in assert_alike(script(HEAD + PLACES[place])).stdout


POOL = (
    HEAD
    + """
import multiprocessing, sys

def work(sample):
    return Sample(sample.value + 1), __name__, sys.modules['__main__'].__file__ == __file__

if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        for sample, *rest in pool.map(work, [Sample(1), Sample(2)]):
            print(sample.value, *rest)
    print(multiprocessing.current_process().name)
"""
)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_pool(script, method):
    text = POOL.replace("{method}", method)
    assert "2 " in assert_alike(script(text)).stdout


def test_spawn_from_a_module(script):
    script("", "package/__init__.py")
    script(POOL.replace("{method}", "spawn"), "package/job.py")
    assert "2 " in assert_alike("-m", "package.job").stdout


def test_process_pool_of_futures(script):
    x = script(
        HEAD
        + """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing

def work(sample):
    return sample.value * 2

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        print(pool.submit(work, Sample(21)).result())
"""
    )
    assert assert_alike(x).stdout == "42\n"
