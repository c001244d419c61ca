from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.cli.board import Board
from slipway.events import Event


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def board_of(*events: tuple[str, str, str | None, str], clock: Clock | None = None) -> Board:
    board = Board(clock or Clock())
    for phase, state, node, text in events:
        board.hear(Event(phase, state, node, {"text": text}))
    return board


def test_nodes_in_the_same_place_share_a_row():
    started = [("copy", "started", f"w{number}", "") for number in range(300)]
    board = board_of(*started, ("activate", "progress", "cp1", "starting units"))
    assert board.rows(100, 24) == [
        "activate      0.0 s  cp1 starting units",
        "copy          0.0 s  300 nodes: w0 w1 w10 w100 w101 and 295 more",
    ]


def test_who_takes_longest_comes_first():
    clock = Clock()
    board = board_of(("copy", "started", "w1", ""), clock=clock)
    clock.now = 41.2
    board.hear(Event("activate", "started", "w2"))
    assert [row.split()[0] for row in board.rows(100, 24)] == ["copy", "activate"]
    assert board.waited_for() == "copy w1 (41 s), activate w2 (0 s)"


def test_what_ended_is_counted_and_its_time_told():
    clock = Clock()
    board = board_of(("copy", "started", "w1", ""), ("copy", "started", "w2", ""), clock=clock)
    clock.now = 2.5
    assert board.hear(Event("copy", "done", "w1")) == 2.5
    assert board.hear(Event("copy", "unreachable", "w2")) == 2.5
    assert board.hear(Event("wave", "done")) is None
    assert board.rows(100, 24) == ["copy                 1 done, 1 unreachable"]
    assert board.waited_for() == ""


def test_a_node_counts_once_in_a_phase_that_it_goes_through_twice():
    """Of two nodes that were Ready after their wave and at the end four were told."""
    twice = [("ready", "done", node, "") for node in ("w1", "w2", "w1", "w2")]
    board = board_of(*twice, ("activate", "unchanged", "w1", ""), ("activate", "ok", "w1", ""))
    assert board.rows(100, 24) == ["ready                2 done", "activate             1 ok"]


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from(["started", "progress", "ok", "failed"]),
                          st.sampled_from([None, "w1", "w2", "w3"]), st.text(max_size=200)), max_size=60),
       st.integers(10, 200), st.integers(1, 50))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_table_fits_on_its_screen_whatever_happens(events, width, height):
    rows = board_of(*events).rows(width, height)
    assert len(rows) <= height
    assert all(len(row) <= width and "\n" not in row for row in rows)


def test_what_does_not_fit_is_counted():
    board = board_of(*((f"phase-{number}", "started", "w1", "") for number in range(30)))
    rows = board.rows(100, 5)
    assert len(rows) == 5 and rows[-1] == "and 26 more that take less long"
