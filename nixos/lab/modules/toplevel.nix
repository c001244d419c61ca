# The system as one store path: /etc, programs, the scripts that put it into place.
{ config, lib, pkgs, ... }:
let
  inherit (lib) concatMapStrings concatStrings escapeShellArg mapAttrsToList optionalString;
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  checked =
    value:
    if failed != [ ] then
      throw "\nFailed assertions:\n${concatMapStrings (message: "- ${message}\n") failed}"
    else
      builtins.foldl' (v: message: lib.warn message v) value config.warnings;

  entries = builtins.filter (e: e.enable) (builtins.attrValues config.environment.etc);
  folders = lib.unique (map (e: builtins.dirOf "etc/${e.target}") entries);
  # Text goes in directly: a store path for each little file would take longer than all the rest.
  place =
    e:
    let
      target = escapeShellArg "etc/${e.target}";
    in
    if e.text != null then "printf %s ${escapeShellArg e.text} > ${target}\n" else "ln -s ${e.source} ${target}\n";
  copies = builtins.filter (e: e.mode != "symlink") entries;
  copyLine = e: "${e.mode} ${e.user} ${e.group} ${e.target}\n";

  # NixOS's own words: who activates reads them.
  snippet = name: script: ''
    # ${name}
    snippet_status=0
    ${script.text or script}
    [ $snippet_status = 0 ] || echo "Activation script snippet '${name}' failed ($snippet_status)"
  '';
  scriptText = snippets: concatStrings (mapAttrsToList snippet snippets);
  check = name: script: "(\n${script}\n) || { echo \"pre-switch check ${name} failed\" >&2; exit 1; }\n";

  checks = "#!/bin/bash\n" + concatStrings (mapAttrsToList check config.system.preSwitchChecks);

  activate = ''
    #!/bin/bash
    # activate [boot]: puts this system into place; does not touch running units.
    set -uE
    toplevel=@toplevel@
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin
    status=0
    trap 'snippet_status=$?; status=1' ERR
    . ${../setup-etc.sh} "$toplevel/etc"
    ${scriptText config.system.activationScripts}
    ln -sfn "$toplevel" /run/current-system
    if [ "''${1-}" = boot ]; then ln -sfn "$toplevel" /run/booted-system; fi
    exit $status
  '';

  switch = ''
    #!/bin/bash
    exec /bin/bash ${../switch-to-configuration.sh} @toplevel@ "$@"
  '';

  # An executable that knows the path of its own system.
  write = target: text: ''
    printf %s ${escapeShellArg text} | sed "s|@toplevel@|$out|g" > $out/${target}
    chmod +x $out/${target}
  '';
in
{
  config.system.build.toplevel = checked (
    pkgs.runCommand "slipway-lab-system-${config.networking.hostName}" { } ''
      mkdir -p $out/bin $out/sw/bin
      cd $out
      mkdir -p ${toString (map escapeShellArg folders)}
      ${concatMapStrings place entries}
      printf %s ${escapeShellArg (concatMapStrings copyLine copies)} > etc-copies
      for package in ${toString (lib.unique (map toString config.environment.systemPackages))}; do
        ln -sf $package/bin/* sw/bin/
      done
      ${write "activate" activate}
      ${write "pre-switch-checks" checks}
      ${write "bin/switch-to-configuration" switch}
      echo "slipway lab ${config.system.stateVersion}" > nixos-version
      echo ${pkgs.stdenv.hostPlatform.system} > system
      echo slipway-lab-1 > init-interface-version
      echo ${escapeShellArg (toString config.boot.kernelParams)} > kernel-params
      for part in kernel initrd kernel-modules; do
        ln -s ${pkgs.kernel} $part
      done
    ''
  );
}
