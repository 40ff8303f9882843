"""What a manifest says of the machine, and the limit on threads."""

import threadpoolctl

from model_collapse import device


def test_the_machine_is_described_without_names_or_paths():
    said = device.machine(1)
    assert said["threads"] == 1 and said["processor"] and said["python"].startswith("3.")
    assert {"numpy", "pandas", "torch"} <= set(said["packages"])


def test_threads_are_limited_inside_and_restored_outside():
    import numpy  # noqa: F401 - loads the BLAS whose threads are limited

    def blas():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    before = blas()
    with device.threads(1):
        assert set(blas()) == {1}
    assert blas() == before
