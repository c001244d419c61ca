from slipway.rollout.waves import Wave, waves


def test_controllers_one_by_one_then_all_workers(inventory):
    assert waves(inventory.hosts) == (
        Wave("controller cp1", ("cp1",)),
        Wave("controller cp2", ("cp2",)),
        Wave("controller cp3", ("cp3",)),
        Wave("workers", ("w1", "w2")),
    )


def test_there_are_only_waves_with_somebody_in_them(inventory):
    assert waves([inventory.host("cp2")]) == (Wave("controller cp2", ("cp2",)),)
    assert waves([inventory.host("w2")]) == (Wave("workers", ("w2",)),)
