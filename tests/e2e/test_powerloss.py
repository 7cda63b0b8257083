"""What the disk may hold when the power goes, at random moments of a recorded run: opened again, it has all that was
promised. The long version is scripts/soak powerloss."""

import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests/soak"))
import powerloss  # noqa: E402

IMAGES, SEED = 24, 3


def replay(tmp_path, sync, seconds, images=IMAGES):
    recording = powerloss.Recording(tmp_path, sync, 200, seconds, SEED)
    return powerloss.Result(recording, images, SEED)


def counts(result):
    """Each way to lose what was not synced was tried, and not only where nothing was at stake."""
    assert {o.how for o in result.outcomes} == {"some", "none", "torn", "all"}
    at_stake = [o for o in result.outcomes if result.waiting_in(o)]
    assert len(at_stake) >= IMAGES / 4, "the moments were not chosen well"


def test_always_misses_nothing(tmp_path):
    result = replay(tmp_path, "always", 3)
    counts(result)
    assert result.recording.disk.flushes
    assert result.missing == []
    assert result.broken(0) == []


def test_interval_opens_and_misses_only_what_was_not_flushed_yet(tmp_path):
    """Two seconds of patience more than the interval and a flush: the machine may be busy."""
    result = replay(tmp_path, "interval", 4)
    counts(result)
    assert len(result.recording.disk.flushes) >= 3
    assert result.broken((0.2 + 2) * 1e9 + result.recording.longest_flush_ns()) == []


def test_never_stands_again(tmp_path):
    result = replay(tmp_path, "never", 2)
    assert [o for o in result.outcomes if o.what not in ("opened", "set aside")] == []
