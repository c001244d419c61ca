# The command line tool.
{
  lib,
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
