# SPDX-License-Identifier: MIT
"""What the disk may hold when the power goes, at random moments of a recorded run: opened again, it has all that was
promised; and so once more when the power goes again. The file system is a strict one: it holds the name of a file only
when the directory was synced. The long version is scripts/soak powerloss."""

import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests/soak"))
import powerloss  # noqa: E402

IMAGES, SEED, INTERVAL_MS = 24, 3, 200


def losses(tmp_path, sync, count, sync_ms=0):
    before = None
    for n in range(count):
        directory = tmp_path / str(n)
        directory.mkdir()
        recording = powerloss.Recording(directory, sync, INTERVAL_MS, 2, SEED, before, strict=True, sync_ms=sync_ms)
        result = powerloss.Result(recording, IMAGES)
        yield result
        before = result.to_go_on()
        assert before, "none of the images opened"


def check_moments(result):
    """Each way to lose what was not synced was tried, and not only where nothing was at stake."""
    assert {o.how for o in result.outcomes} == {"some", "none", "torn", "all"}
    assert sum(1 for o in result.outcomes if result.waiting_in(o)) >= IMAGES / 4


def test_always_misses_nothing(tmp_path):
    for result in losses(tmp_path, "always", 1):
        check_moments(result)
        assert result.missing == []
        assert result.broken(0) == []


def test_always_misses_nothing_on_a_slow_disk(tmp_path):
    """Units report, and are acknowledged, while a sync is under way."""
    for result in losses(tmp_path, "always", 1, sync_ms=30):
        check_moments(result)
        assert result.missing == []
        assert result.broken(0) == []


def test_interval_opens_and_misses_only_what_was_not_flushed_yet(tmp_path):
    """By the order of syncs; and by the clock, with seconds of patience, for the machine may be busy."""
    for result in losses(tmp_path, "interval", 2):
        check_moments(result)
        assert len(result.recording.disk.flushes) >= 3
        promise = (INTERVAL_MS / 1000 + 2) * 1e9 + result.recording.longest_flush_ns()
        assert result.broken(promise) == []


def test_never_goes_on(tmp_path):
    for result in losses(tmp_path, "never", 1):
        check_moments(result)
        assert [o for o in result.outcomes if o.what not in ("opened", "set aside")] == []
