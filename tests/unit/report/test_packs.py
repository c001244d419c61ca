"""The reference of packs is made from the packs, and every check in it says what it is for."""

from pathlib import Path

from slipway.report import packs
from slipway.verify import catalog

PAGE = Path(__file__).parents[3] / "docs/reference/packs.md"
ALL = [
    check
    for name, folder in catalog.ours().items()
    for file in packs.files(folder)
    for check in packs.checks(name, file)
]


def test_the_page_is_what_the_packs_say():
    assert PAGE.read_text() == packs.render(), "python docs/generate.py"


def test_every_check_is_on_the_page_with_a_sentence():
    assert len(ALL) > 40
    page = packs.render()
    for check in ALL:
        assert check.title, check.id
        assert f"| `{check.id}` | {check.title} |" in page


def test_roles_are_those_of_the_marks():
    roles = {check.id: check.roles for check in ALL}
    assert roles["os.clock.is_kept"] == ()
    assert roles["network.peers.etcd_is_closed_to_workers"] == ("workers",)
    assert roles["k0s.kubelet.is_healthy"] == ("workloads",)
