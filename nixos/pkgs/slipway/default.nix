# The command line tool.
{
  lib,
  installShellFiles,
  python3Packages,
  src,
  tools,
}:
python3Packages.buildPythonApplication {
  pname = "slipway";
  version = (builtins.fromTOML (builtins.readFile (src + "/pyproject.toml"))).project.version;
  pyproject = true;
  inherit src;
  build-system = [ python3Packages.hatchling ];
  dependencies = with python3Packages; [
    cryptography
    jinja2
    paramiko
    plumbum
    pydantic
    pytest
    pytest-testinfra
    pyyaml
    rich
    ruamel-yaml
    typer
  ];
  nativeBuildInputs = [ installShellFiles ];
  # Both from the commands themselves. To files first: what fails within <( ) fails unseen.
  postInstall = ''
    python -c 'from slipway.cli import man; print(man.render(), end="")' >slipway.1
    for shell in bash zsh fish; do
      $out/bin/slipway completion $shell >slipway.$shell
    done
    installManPage slipway.1
    installShellCompletion slipway.{bash,zsh,fish}
  '';
  nativeCheckInputs = with python3Packages; [ pytestCheckHook hypothesis jsonschema ];
  # Whoever runs it with `nix run` need have nothing but Nix.
  makeWrapperArgs = [ "--prefix" "PATH" ":" (lib.makeBinPath tools) ];
  # The others need Nix itself, or machines.
  enabledTestPaths = [ "tests/unit/inventory" ];
  pythonImportsCheck = [ "slipway.cli.main" ];
  meta = {
    description = "One host inventory to a running, self-managing Kubernetes cluster on bare-metal NixOS";
    license = lib.licenses.asl20;
    mainProgram = "slipway";
  };
}
