import pytest
import yaml
from jinja2 import UndefinedError

from slipway.generate import templates
from slipway.paths import resource

FOLDERS = [resource("templates") / name for name in ("nix", "k0s", "skeleton")]
PLACING = [path for folder in FOLDERS for path in sorted(folder.glob("*.j2")) if "#{" in path.read_text()]


@pytest.mark.parametrize("path", PLACING, ids=lambda path: path.name)
def test_a_template_refuses_what_it_is_not_given(path):
    name = path.relative_to(resource("templates")).as_posix()
    with pytest.raises((UndefinedError, TypeError, yaml.YAMLError), match=r"[Uu]ndefined"):
        templates.template(name).render()


def test_a_digest_depends_on_the_data_alone():
    assert templates.digest_of({"a": 1, "b": [2]}) == templates.digest_of({"b": [2], "a": 1})
    assert templates.digest_of({"a": 1}) != templates.digest_of({"a": 2})


def test_yaml_repeats_and_never_refers():
    shared = ["10.0.0.1"]
    text = templates.to_yaml({"a": shared, "b": shared}, 1)
    assert "&" not in text
    assert yaml.safe_load(text) == {"a": shared, "b": shared}
    assert all(line.startswith("  ") for line in text.splitlines())
