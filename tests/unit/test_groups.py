from slipway.groups import alike, like, named, typed

MANY = [f"w{number}" for number in range(1, 301)]


def test_equal_reasons_are_told_once_with_their_nodes():
    reasons = [(name, f"{name} (root@192.0.2.{number % 250}): no pinned key") for number, name in enumerate(MANY)]
    (line,) = alike([*reasons])
    assert line.startswith("300 nodes (w1 w2 w3 ")
    assert line.endswith(" w12 and 288 more): no pinned key")


def test_one_nodes_own_reason_keeps_where_it_was_looked_for():
    said = [("w1", "w1 (root@192.0.2.1): timed out"), ("w2", "w2: full"), ("w3", "full"), ("w4", "odd")]
    assert list(alike(said)) == ["w1 (root@192.0.2.1): timed out", "2 nodes (w2 w3): full", "w4: odd"]


def test_a_name_that_begins_another_is_no_part_of_it():
    assert list(alike([("w1", "w10 is full"), ("w10", "w10: is full")])) == ["w1: w10 is full", "w10: is full"]


def test_a_command_names_what_somebody_would_type():
    assert typed(["w1", "w2"]) == " w1 w2"
    assert typed(["w1", "w2"], of=2) == ""
    assert typed(MANY) == ""
    assert named(["w1"]) == "w1"


def test_systems_that_differ_from_node_to_node_make_no_reason_another():
    said = [(name, f"runs /nix/store/aaa-{name}, the inventory wants /nix/store/bbb-{name}") for name in MANY[:3]]
    assert list(alike(said)) == ["3 nodes (w1 w2 w3): runs /nix/store/..., the inventory wants /nix/store/..."]
    assert list(alike(said[:1])) == ["w1: runs /nix/store/aaa-w1, the inventory wants /nix/store/bbb-w1"]
    same = [(name, "cannot build /nix/store/aaa.drv") for name in MANY[:2]]
    assert list(alike(same)) == ["2 nodes (w1 w2): cannot build /nix/store/aaa.drv"]


def test_each_node_shows_a_key_of_its_own_and_that_makes_no_reason_another():
    said = [(name, f"{name} (root@192.0.2.1): no pinned key; it shows ssh-ed25519 SHA256:{name}+/=") for name in MANY]
    (line,) = alike(said)
    assert line.endswith(" and 288 more): no pinned key; it shows ssh-ed25519 SHA256:...")
    assert list(alike(said[:1])) == ["w1 (root@192.0.2.1): no pinned key; it shows ssh-ed25519 SHA256:w1+/="]


def test_a_row_that_stands_for_many_names_one():
    assert like(["w12"]) == "w12"
    assert like(MANY) == "w1 and 299 more like it"
