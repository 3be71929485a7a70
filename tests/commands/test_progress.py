"""Progress where there is no terminal: a line every half minute, true in its numbers."""

from rs_lib.commands import progress


def _bar(monkeypatch, clock, **changes):
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    given = {"per_image": 100, "world": 1, "shown": True, **changes}
    return progress.Progress("certify", 50, 10, **given)


def test_a_line_comes_every_half_minute(monkeypatch, capsys):
    clock = [1000.0]
    with _bar(monkeypatch, clock) as bar:
        for _ in range(20):  # ten seconds and 200 samples each
            clock[0] += 10
            bar.report(200, 0)
            bar.part_done(200, 2)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("certify")]
    assert len(lines) == 6
    # After 30 s: three chunks of two images, two of them counted as done; 5 s for each image.
    assert lines[0] == "certify 14/50 images, 600 samples, 20/s, 0:02:50 left"
    assert lines[-1].startswith("certify 44/50 images, 3.6k samples, 20/s, 0:00:")


def test_only_the_process_that_shows_speaks_and_nothing_is_guessed(monkeypatch, capsys):
    clock = [0.0]
    with _bar(monkeypatch, clock, shown=False) as bar:
        clock[0] += 100
        bar.report(200, 0)
    assert capsys.readouterr().err == ""
    with _bar(monkeypatch, clock, per_image=None) as bar:
        clock[0] += 100
        bar.report(200, 0)
    assert "certify 10/50 images, 200 samples, 2/s, unknown time left" in capsys.readouterr().err
