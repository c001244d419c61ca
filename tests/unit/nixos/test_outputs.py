"""The project's flake and a user's, as far as they can be asked without nixpkgs: its packages are fakes that say what
they were asked for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.cli import man
from slipway.cli.completion import SCRIPTS

ROOT = Path(__file__).parents[3]
NIXOS = ROOT / "nixos"
PACKAGES = """
  packages = system: rec {
    lib = import NIXOS/lab/lib // { licenses.asl20 = "asl20"; sourceTypes.binaryNativeCode = "binary"; };
    callPackage = path: given: let f = import path; in
      f (builtins.intersectAttrs (builtins.functionArgs f) (everything // given));
    everything = { inherit lib runCommand fetchurl stdenvNoCC python3Packages; util-linux = "/util-linux"; }
      // builtins.listToAttrs (map (name: { inherit name; value = "/" + name; }) [ "makeWrapper" "installShellFiles" ]);
    runCommand = name: _: script: { inherit name script; };
    fetchurl = args: args;
    python3Packages = { buildPythonApplication = args: args; hatchling = "hatchling"; pytestCheckHook = "hook"; }
      // builtins.listToAttrs (map (name: { inherit name; value = name; }) [
           "cryptography" "hypothesis" "jinja2" "jsonschema" "paramiko" "plumbum" "pydantic" "pytest" "pytest-testinfra"
           "pyyaml" "rich" "ruamel-yaml" "typer"
         ]);
    stdenvNoCC = {
      hostPlatform = { inherit system; };
      buildPlatform.canExecute = platform: platform.system == "x86_64-linux";
      mkDerivation = f:
        let built = f { finalPackage.outPath = "/k0s"; }; in built // built.passthru // { outPath = "/k0s"; };
    };
    testers.runNixOSTest = test: test;
    age = "/age"; git = "/git"; kubectl = "/kubectl"; kubernetes-helm = "/helm"; openssh = "/openssh"; sops = "/sops";
  };
""".replace("NIXOS", str(NIXOS))


@pytest.fixture
def flake(nix_value):
    """`flake(wanted)`: something of the project's outputs, `self`, or of a user's, `mine`."""

    def value(wanted, repository=ROOT / "tests/golden/homelab"):
        return nix_value(f"""
            let
              {PACKAGES}
              each = name: {{ inherit name; value = packages name; }};
              nixpkgs.legacyPackages = builtins.listToAttrs (map each [ "x86_64-linux" "aarch64-linux" ]);
              disko = throw "no disko";
              self = import {NIXOS}/outputs.nix {{ inherit self nixpkgs disko; }} // {{ outPath = "{ROOT}"; }};
              k0s = version: {{
                config.slipway = {{ k0s.package = "/k0s-" + version; cluster.ipv6Only = version == "1.37"; }};
              }};
              mine = import {NIXOS}/lib/commands.nix {{
                inherit self nixpkgs; root = {repository}; tools = _: [ ];
                forAll = f: {{ x86_64-linux = f "x86_64-linux" nixpkgs.legacyPackages.x86_64-linux; }};
                machines = {{ cp1 = k0s "1.36"; cp2 = k0s "1.36"; cp3 = k0s "1.37"; }};
              }};
            in {wanted}
        """)

    return value


FAKE_K0S = """#!/bin/sh
case "$1 $2 $3 $4 $#" in
"config validate --config $4 4") echo "$4" ;;
"config validate --config $4 5") [ "$5" = --feature-gates=IPv6SingleStack=true ] && echo "$4, IPv6" ;;
*) exit 1 ;;
esac
"""


def validated(script: str, folder: Path) -> dict[str, str]:
    """What a check of this script has k0s read, and whether as of IPv6 alone: by the name that is said before."""
    program = folder / "k0s"
    program.write_text(FAKE_K0S)
    program.chmod(0o755)
    text = re.sub(r"(?<=HOME=\$TMPDIR )/k0s[\d.-]*/bin/k0s", str(program), script)
    environment = {"out": str(folder / "out"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-ec", text], env=environment, check=True, capture_output=True, text=True)
    assert (folder / "out").exists()
    lines = done.stdout.splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=True))


def test_k0s_reads_the_files_of_the_examples(flake, tmp_path):
    read = validated(flake("self.checks.x86_64-linux.k0s-config.script"), tmp_path)
    golden = ROOT / "tests/golden"
    assert sorted(read) == sorted(str(file.parent.relative_to(golden)) for file in golden.glob("**/hosts/*/k0s.yaml"))
    assert len(set(read.values())) == len(read)
    alone = {name for name, said in read.items() if said.endswith(", IPv6")}
    assert alone == {f"ipv6/generated/hosts/cp{n}" for n in (1, 2, 3)}, "k0s refuses their ranges without"


def test_k0s_of_each_controller_reads_its_file(flake, tmp_path):
    """Of a user's repository; one controller has another release."""
    script = flake("mine.checks.x86_64-linux.k0s-config.script")
    assert "/k0s-1.37/bin/k0s config validate" in script.partition("echo cp3")[2]
    read = validated(script, tmp_path)
    assert {name: said.endswith(", IPv6") for name, said in read.items()} == {"cp1": False, "cp2": False, "cp3": True}


def test_the_package_of_k0s_has_what_nixpkgs_wants(flake):
    k0s = f'callPackage {NIXOS}/pkgs/k0s {{ version = "1.36.3+k0s.2"; }}'
    wanted = f"with packages system; let k0s = {k0s}; in"
    for system, runs in (("x86_64-linux", True), ("aarch64-linux", False)):
        head = f'let system = "{system}"; in {wanted} '
        assert ("installShellCompletion" in flake(head + "k0s.installPhase")) is runs
        assert flake(head + "k0s.src.hash").startswith("sha256-")
        assert flake(head + "k0s.meta.mainProgram") == "k0s"
    assert "/k0s/bin/k0s version | grep" in flake("self.checks.x86_64-linux.k0s.script")


def test_the_package_of_slipway_runs_its_tests_and_finds_its_tools(flake):
    package = "self.packages.x86_64-linux.slipway"
    assert flake(f"{package}.enabledTestPaths") == ["tests/unit/inventory"]
    assert {"hook", "hypothesis", "jsonschema"} <= set(flake(f"{package}.nativeCheckInputs"))
    path = flake(f"{package}.makeWrapperArgs")[-1]
    assert path == "/age/bin:/git/bin:/kubectl/bin:/helm/bin:/openssh/bin:/sops/bin"


FAKE_HOOK = """
installManPage() { for page in "$@"; do install -D "$page" "$out/share/man/man${page##*.}/$page"; done; }
installShellCompletion() { for file in "$@"; do install -D "$file" "$out/share/fake-completions/$file"; done; }
"""
"""As installShellFiles of nixpkgs has them, for what is asked of them here."""


def test_the_package_of_slipway_has_its_manual_page_and_completions(flake, tmp_path):
    assert "/installShellFiles" in flake("self.packages.x86_64-linux.slipway.nativeBuildInputs")
    program = tmp_path / "out/bin/slipway"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from slipway.cli.start import main; main()" "$@"\n')
    program.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    environment = {
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}/python:{':'.join(sys.path)}",
        "HOME": "/homeless-shelter",
        "out": str(tmp_path / "out"),
    }
    script = FAKE_HOOK + flake("self.packages.x86_64-linux.slipway.postInstall")
    subprocess.run(["bash", "-euc", script], env=environment, cwd=tmp_path, check=True)
    share = tmp_path / "out/share"
    assert (share / "man/man1/slipway.1").read_text() == man.render()
    for shell, text in SCRIPTS.items():
        assert (share / f"fake-completions/slipway.{shell}").read_text().strip() == text.strip()


def test_the_module_is_what_an_old_nix_takes_when_it_checks_a_flake(flake):
    """`nix flake check` of 2.8 refuses a path: "must be a function or an attribute set"."""
    assert flake("builtins.typeOf self.nixosModules.default") == "set"
