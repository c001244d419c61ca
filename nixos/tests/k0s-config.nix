# `k0s config validate` on files of controllers: { name = { file, k0s }; }.
{ pkgs, files }:
pkgs.runCommand "slipway-k0s-configuration-is-valid" { } (
  builtins.concatStringsSep "" (
    map (name: ''
      echo ${name}
      HOME=$TMPDIR ${files.${name}.k0s}/bin/k0s config validate --config ${files.${name}.file}
    '') (builtins.attrNames files)
  )
  + "touch $out\n"
)
