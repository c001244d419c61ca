"""What a person reads of Nix's errors, and how results are told apart; Nix itself runs in tests/lab/test_nix.py."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.result import CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.tools import nix
from slipway.tools.nix import BuildFailed, CacheKeys, EvaluationFailed

# A mistake in the user's own file: as Nix 2.8.0 printed it; in the shape of newer versions, which put a trace before
# the cause; and of the newest, which name the repository by its URL (both written by hand).
PRINTED = """warning: Git tree '/home/me/cluster' is dirty
error: undefined variable 'z'

       at /nix/store/z3lfl5101rfpkl8wgmvc22s278ry9wal-source/hosts/w1.nix:3:11:

            2| let
            3|   y = x + z;
             |           ^
            4| in y
"""
NEWER = """warning: Git tree '/home/me/cluster' is dirty
error:
       … while evaluating the attribute 'config.system.build.toplevel'
         at /nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-source/lib/modules.nix:359:9:
          358|         config = addErrorContext
       … while calling the 'import' builtin
         at /nix/store/z3lfl5101rfpkl8wgmvc22s278ry9wal-source/flake.nix:9:5:
            8|
       (stack trace truncated; use '--show-trace' to show the full, detailed trace)

       error: undefined variable 'z'
       at /nix/store/z3lfl5101rfpkl8wgmvc22s278ry9wal-source/hosts/w1.nix:3:11:
            2| let
            3|   y = x + z;
             |           ^
"""
NEWEST = NEWER.replace("/nix/store/z3lfl5101rfpkl8wgmvc22s278ry9wal-source", "«git+file:///home/me/cluster»")
ASSERTION = """error:
       Failed assertions:
       - slipway: two things clash
"""
BUILD = """building '/nix/store/cs4ga0vfw951mnbf0l38bpb40wh22lg1-nixos-system-w1-26.05.drv'...
error: builder for '/nix/store/cs4ga0vfw951mnbf0l38bpb40wh22lg1-nixos-system-w1-26.05.drv' failed with exit code 3;
       last 2 log lines:
       > building
       > no good
       For full logs, run 'nix log /nix/store/cs4ga0vfw951mnbf0l38bpb40wh22lg1-nixos-system-w1-26.05.drv'.
"""
MISSING = (
    "error: flake 'git+file:///x' does not provide attribute "
    "'packages.x86_64-linux.nixosConfigurations.\"w9\".config.system.build.toplevel', ..."
)


@pytest.fixture
def flake(tmp_path):
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "w1.nix").touch()
    (tmp_path / "flake.nix").touch()
    return tmp_path


def failure(stderr: str, flake: Path, code: int = 1) -> Exception:
    return nix._failure(CommandResult(("nix", "build"), "localhost", code, "", stderr, 1.0), flake)


@pytest.mark.parametrize("stderr", [PRINTED, NEWER, NEWEST], ids=["2.8", "newer", "newest"])
def test_an_evaluation_error_begins_with_its_cause_and_place(flake, stderr):
    error = failure(stderr, flake)
    assert isinstance(error, EvaluationFailed)
    first, second, *_ = str(error).splitlines()
    assert first == "undefined variable 'z'"
    assert second.strip() == f"at {flake}/hosts/w1.nix:3:11:"
    assert "dirty" not in str(error)
    assert "stack trace truncated" not in str(error)


def test_the_way_through_the_user_s_own_files_is_told(flake):
    assert str(failure(NEWER, flake)).splitlines()[-1] == f"from {flake}/flake.nix:9:5"


def test_a_failed_assertion_is_told_in_its_own_words(flake):
    error = failure(ASSERTION, flake)
    assert isinstance(error, EvaluationFailed)
    assert "- slipway: two things clash" in str(error)


def test_a_failed_build_keeps_its_log(flake):
    error = failure(BUILD, flake)
    assert isinstance(error, BuildFailed)
    assert "no good" in str(error)
    assert "nix log /nix/store/cs4ga0vfw951mnbf0l38bpb40wh22lg1" in str(error)


def test_a_host_that_the_flake_does_not_know_is_named(flake):
    error = failure(MISSING, flake)
    assert "has no system for w9" in str(error)
    assert isinstance(error, EvaluationFailed)


@pytest.mark.parametrize(("stderr", "code"), [("what?", 1), (PRINTED, -15)], ids=["no error", "killed"])
def test_anything_else_is_a_failed_command(flake, stderr, code):
    assert isinstance(failure(stderr, flake, code), CommandFailed)


def system(folder: Path, hostname: str) -> str:
    (folder / hostname / "etc").mkdir(parents=True)
    (folder / hostname / "etc" / "hostname").write_text(f"{hostname}\n")
    return str(folder / hostname)


def test_systems_are_told_apart_by_their_own_names(tmp_path):
    systems = [system(tmp_path, name) for name in ("cp1", "w1", "w2")]
    assert nix._by_host(reversed(systems), ["w2", "cp1", "w1"]) == {
        "w2": systems[2],
        "cp1": systems[0],
        "w1": systems[1],
    }


def test_a_system_with_another_name_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"the system of w1 calls itself otherwise \(other\)"):
        nix._by_host([system(tmp_path, "cp1"), system(tmp_path, "other")], ["cp1", "w1"])


def test_progress_leaves_the_noise_out():
    said: list[str] = []
    listener = nix._quietly(said.append)
    assert listener
    for line in ("warning: Git tree '/x' is dirty", "", "building '/nix/store/x.drv'..."):
        listener(line)
    assert said == ["building '/nix/store/x.drv'..."]


def test_options_reach_nix_as_pairs(monkeypatch):
    monkeypatch.setattr(nix, "_for_root_alone", dict)
    assert nix._options({"substituters": "", "cores": "2"}) == [
        "--option", "substituters", "", "--option", "cores", "2",
    ]  # fmt: skip


LIST = '[{"path": "/a", "references": ["/a", "/b"], "narSize": 3}, {"path": "/b", "references": [], "narSize": 4}]'
OBJECT = '{"/a": {"references": ["/a", "/b"], "narSize": 3}, "/b": {"references": [], "narSize": 4}}'


@pytest.mark.parametrize("said", [LIST, OBJECT], ids=["2.8", "2.19"])
def test_closures_come_from_one_question_for_all_systems(monkeypatch, said):
    monkeypatch.setattr(nix, "run", lambda argv, **_: CommandResult(tuple(argv), "localhost", 0, said, "", 0.0))
    graph = nix.graph(["/a", "/b"], timeout=1)
    assert sorted(graph.closure("/a")) == ["/a", "/b"]
    assert sorted(graph.closure("/b")) == ["/b"]
    assert sum(graph.sizes.values()) == 7


FAKE_NIX = """#!/bin/sh
{ echo "$NIX_SSHOPTS"; printf '%s\\n' "$@"; echo end; } >>"$ASKED"
case "$*" in *" build "*) printf '[{"outputs": {"out": "%s"}}]' "$BUILT" ;; esac
"""


@pytest.fixture
def fake_nix(tmp_path, monkeypatch):
    """A stand-in for nix that has built w1's system already; returns what it was asked so far, a list per call."""
    system, program = tmp_path / "w1", tmp_path / "bin" / "nix"
    (system / "etc").mkdir(parents=True)
    (system / "etc" / "hostname").write_text("w1\n")
    program.parent.mkdir()
    program.write_text(FAKE_NIX)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("BUILT", str(system))
    monkeypatch.setattr(nix, "_for_root_alone", dict)
    return lambda: [each.strip().splitlines() for each in (tmp_path / "asked").read_text().split("\nend\n") if each]


FAKE_NIX_STORE = """#!/bin/sh
echo "$*" >>"$ASKED"
number=1
for word; do
  case "$word" in /*) paths="$paths $word" ;; esac
  last=$word
done
for path in $paths; do first=$path; done
for path in ${paths% *}; do
  ln -s "$path" "$first$suffix" || exit 1
  number=$((number + 1)); suffix=-$number
done
"""


@pytest.fixture
def fake_nix_store(fake_nix, tmp_path):
    """A stand-in for nix-store that makes and numbers links as Nix does; returns its calls so far."""
    program = tmp_path / "bin" / "nix-store"
    program.write_text(FAKE_NIX_STORE)
    program.chmod(0o755)
    asked = tmp_path / "asked"
    return lambda: asked.read_text().splitlines() if asked.exists() else []


def kept(folder: Path) -> dict[str, list[str]]:
    """What the links say by host, and what those that Nix heeds lead to."""
    hosts = {path.name: [str(path.readlink())] for path in folder.iterdir() if path.is_symlink()}
    return {**hosts, "roots": sorted(str(link.readlink()) for link in (folder / nix.ROOTS).iterdir())}


def test_all_systems_are_kept_by_one_call_and_then_by_none(fake_nix_store, tmp_path):
    folder, systems = tmp_path / "kept", {f"w{number}": f"/store/{number}" for number in range(30)}
    for _ in range(2):
        nix.keep(systems, folder, options={})
    assert len(fake_nix_store()) == 1
    assert kept(folder) == {**{name: [path] for name, path in systems.items()}, "roots": sorted(systems.values())}


def test_a_system_is_let_go_when_its_host_has_another_and_no_sooner(fake_nix_store, tmp_path):
    folder = tmp_path / "kept"
    nix.keep({"cp1": "/store/a", "w1": "/store/b"}, folder, options={})
    nix.keep({"w1": "/store/c"}, folder, options={})
    assert kept(folder) == {"cp1": ["/store/a"], "w1": ["/store/c"], "roots": ["/store/a", "/store/c"]}
    assert len(fake_nix_store()) == 2


def test_a_link_that_nix_heeds_is_made_anew_where_it_is_gone(fake_nix_store, tmp_path):
    """As after a run that was killed between the two, or in a folder of before."""
    folder = tmp_path / "kept"
    nix.keep({"w1": "/store/a"}, folder, options={})
    for link in (folder / nix.ROOTS).iterdir():
        link.unlink()
    nix.keep({"w1": "/store/a"}, folder, options={})
    assert kept(folder) == {"w1": ["/store/a"], "roots": ["/store/a"]}


AT = nix.Elsewhere("ssh-ng://root@builder", ["-o", "Port=22"])


def test_a_system_is_built_on_another_machine_and_brought_here(fake_nix, tmp_path):
    built = nix.build(tmp_path, ["w1"], options={"cores": "2"}, timeout=10, at=AT)
    assert built == {"w1": str(tmp_path / "w1")}
    build, bring = fake_nix()
    assert build[0] == bring[0] == "-o Port=22", "with our keys and pins"
    assert build[-7:] == ["--store", AT.store, "--eval-store", "auto", "--option", "cores", "2"]
    assert bring[3:8] == ["copy", "--no-check-sigs", "--from", AT.store, str(tmp_path / "w1")]


def test_a_system_that_is_built_here_is_brought_from_nowhere(fake_nix, tmp_path):
    nix.build(tmp_path, ["w1"], options={}, timeout=10)
    (build,) = fake_nix()
    assert "--store" not in build


@pytest.mark.parametrize(("cache", "joined"), [("file:///c", "?"), ("s3://c?region=x", "&")])
def test_the_key_that_signs_is_a_file_in_memory(fake_nix, cache, joined):
    nix.upload(["/a"], cache, CacheKeys(Secret("test-1:AAAA")), options={}, timeout=10)
    ((*asked,),) = fake_nix()
    (store,) = [word for word in asked if word.startswith(cache)]
    assert store.startswith(f"{cache}{joined}secret-key=/proc/{os.getpid()}/fd/")
    assert "test-1" not in " ".join(asked)


def test_an_s3_account_is_nix_s_alone_and_in_nobodys_sight(shell_for_nix, monkeypatch):
    """In its environment, where AWS's own chain looks first; what the caller's own shell has is left without one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the shell")
    account = {"AWS_ACCESS_KEY_ID": Secret("of the file"), "AWS_SECRET_ACCESS_KEY": Secret("hush")}
    told = shell_for_nix('echo "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" >&2; case "$*" in *hush*) exit 1; esac')
    nix.upload(["/a"], "s3://c", CacheKeys(Secret("k"), account), options={}, timeout=10, on_line=told.append)
    nix.upload(["/a"], "s3://c", CacheKeys(Secret("k")), options={}, timeout=10, on_line=told.append)
    assert told == ["of the file:hush", "of the shell:"]
    assert "hush" not in repr(CacheKeys(Secret("k"), account))


@pytest.fixture
def shell_for_nix(tmp_path, monkeypatch):
    """`shell_for_nix(script)` puts a fake nix on PATH; returns a list, for what a call of it says."""

    def made(script: str) -> list[str]:
        program = tmp_path / "fake" / "nix"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return []

    return made


OLD, NEW = "*describe-stores*) echo '{\"%s\": {}}'", '*__dump-cli*) echo \'{"args": {}, "stores": {"%s": {}}}\''


@pytest.mark.parametrize("asked", [OLD, NEW], ids=["until 2.18", "since"])
@pytest.mark.parametrize(("kind", "opens"), [("Http Binary Cache Store", False), ("S3 Binary Cache Store", True)])
def test_a_nix_without_s3_is_told_before_anything_is_built_for_a_bucket(shell_for_nix, asked, kind, opens):
    shell_for_nix(f'case "$*" in {asked % kind};; *) exit 1; esac')
    nix.require_opens("https://cache.example.org")
    refused = pytest.raises(PrerequisiteMissing, match="the Nix of this machine was built without S3")
    with nullcontext() if opens else refused:
        nix.require_opens("s3://nix-cache?region=eu-central-1")


@pytest.mark.parametrize("script", ["exit 1", "echo '[]'", "echo nonsense", "echo '{}'"])
def test_a_nix_that_says_nothing_of_its_stores_is_left_to_find_out(shell_for_nix, script):
    shell_for_nix(script)
    nix.require_opens("s3://nix-cache")


@pytest.mark.parametrize("substitute", [True, False])
def test_a_machine_without_internet_fetches_nothing_itself(fake_nix, substitute):
    nix.copy(["/a"], "ssh-ng://root@w1", ssh=[], options={}, timeout=10, substitute=substitute)
    ((*asked,),) = fake_nix()
    assert ("--substitute-on-destination" in asked) is substitute
