# `k0s config validate` on files of controllers: { name = { file, k0s, ipv6Only ? false }; }.
{ pkgs, files }:
let
  # Without the gate that these controllers start with, k0s refuses their ranges.
  gates = f: if f.ipv6Only or false then " --feature-gates=IPv6SingleStack=true" else "";
in
pkgs.runCommand "slipway-k0s-configuration-is-valid" { } (
  builtins.concatStringsSep "" (
    map (name: ''
      echo ${name}
      HOME=$TMPDIR ${files.${name}.k0s}/bin/k0s config validate --config ${files.${name}.file}${gates files.${name}}
    '') (builtins.attrNames files)
  )
  + "touch $out\n"
)
