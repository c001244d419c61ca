from slipway.groups import MOST_NAMED
from slipway.report.answers import MOST_LINES, render
from slipway.rollout.ask import Answer, groups


def test_equal_answers_stand_once_the_odd_ones_last():
    answers = {"w1": Answer(0, "b\n"), "w2": Answer(0, "a\n"), "w3": Answer(0, "a\n"), "w4": Answer(error="away")}
    lines = list(render(groups(answers, ["w1", "w2", "w3", "w4", "w5"])))
    assert lines == ["2 nodes (w2 w3): exit code 0", "    a", "w1: exit code 0", "    b", "w4: away"]


def test_three_hundred_equal_nodes_are_a_line():
    names = [f"w{number}" for number in range(300)]
    (head,) = render(groups({name: Answer(0) for name in names}, names))
    assert head == f"300 nodes ({' '.join(names[:MOST_NAMED])} and 288 more): exit code 0"


def test_a_long_answer_is_its_end():
    lines = list(render([(["w1"], Answer(0, "".join(f"{number}\n" for number in range(1000))))]))
    assert len(lines) == MOST_LINES + 2
    assert lines[1] == "    (900 lines before these: --json has them)"
    assert lines[-1] == "    999"


def test_no_line_of_a_node_can_be_taken_for_another_one_s_head():
    said = "1\nw2: exit code 0\n"
    lines = list(render([(["w1"], Answer(0, said, said)), (["w3"], Answer(error=f"odd\n{said}"))]))
    assert [line for line in lines if line.startswith("w2")] == []
