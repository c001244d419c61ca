# Packages of the lab: links into Debian's userland, as every machine of the lab has it, and the few builders that
# slipway's modules use. All programs share one output, so that a system needs few builds.
{ lib, system }:
let
  # `slipway lab init` puts a static busybox beside this file. Builds of a repository then need no file of the machine that
  # builds, and Nix's sandbox stays on. Without it (tests that evaluate, the machines' first system) they take the machine's.
  own = builtins.pathExists ./programs;
  busybox = "${./programs}/busybox"; # which goes by its own name
  userlandOfBuilds = if own then "${busybox} mkdir bin; ${busybox} --install -s bin; PATH=$PWD/bin" else "PATH=/usr/bin:/bin";

  # Runs a shell script; `$out` is the result.
  build =
    name: script:
    derivation {
      inherit name system script;
      builder = if own then busybox else "/bin/sh";
      args = (if own then [ "sh" ] else [ ]) ++ [ "-ec" "${userlandOfBuilds}; . \"$scriptPath\"" ];
      passAsFile = [ "script" ];
      preferLocalBuild = true;
      allowSubstitutes = false;
    };

  # Package to its programs. Debian keeps those for root in sbin. A program that the userland lacks is a link to nowhere:
  # the lab has no metal for those that read or stress it.
  programs = {
    bash = [ "bin/bash" "bin/sh" ];
    coreutils = map (name: "bin/${name}") [
      "base64" "cat" "chgrp" "chmod" "chown" "cp" "cut" "date" "df" "dirname" "du" "env" "head" "id" "install" "ln" "ls" "md5sum"
      "mkdir" "mktemp" "mv" "od" "readlink" "realpath" "rm" "rmdir" "seq" "sha256sum" "sleep" "sort" "stat" "sync"
      "tail" "tee" "test" "timeout" "touch" "tr" "true" "uname" "uniq" "wc"
    ];
    curl = [ "bin/curl" ];
    dmidecode = [ "sbin/dmidecode" ];
    ethtool = [ "sbin/ethtool" ];
    fio = [ "bin/fio" ];
    findutils = [ "bin/find" "bin/xargs" ];
    gnugrep = [ "bin/grep" ];
    gnused = [ "bin/sed" ];
    iperf3 = [ "bin/iperf3" ];
    ipmitool = [ "bin/ipmitool" ];
    iproute2 = [ "bin/ip" "bin/ss" "sbin/bridge" "sbin/tc" ];
    iptables = [ "sbin/iptables" "sbin/ip6tables" "sbin/iptables-save" "sbin/iptables-restore" ];
    jq = [ "bin/jq" ];
    kmod = [ "sbin/modprobe" "sbin/lsmod" "sbin/modinfo" ];
    lm_sensors = [ "bin/sensors" ];
    nftables = [ "sbin/nft" ];
    nix = [ "bin/nix" "bin/nix-env" "bin/nix-store" "bin/nix-collect-garbage" ];
    nvme-cli = [ "sbin/nvme" ];
    openssh = [ "sbin/sshd" "bin/ssh" "bin/ssh-keygen" ];
    procps = [ "bin/free" "bin/pgrep" "bin/ps" "bin/top" "sbin/sysctl" ];
    shadow = [ "sbin/useradd" "sbin/usermod" "sbin/groupadd" ];
    stress-ng = [ "bin/stress-ng" ];
    smartmontools = [ "sbin/smartctl" ];
    systemd = [ "bin/journalctl" "bin/networkctl" "bin/systemctl" "bin/systemd-tmpfiles" "bin/systemd-analyze" ];
    util-linux = [ "sbin/losetup" ] ++ map (name: "bin/${name}") [
      "findmnt" "flock" "lsblk" "mount" "mountpoint" "nsenter" "umount"
    ];
  };
  paths = lib.unique (builtins.concatLists (builtins.attrValues programs));
  userland = build "slipway-lab-userland" ''
    mkdir -p $out/bin
    ${lib.concatMapStrings (path: "ln -s /usr/${path} $out/bin/${baseNameOf path}\n") paths}
  '';
in
builtins.mapAttrs (pname: _: userland // { inherit pname; }) programs
// rec {
  inherit lib userland;

  # Made by no builder: a machine's first system, which is built otherwise, has the same kernel as all that come.
  kernel = builtins.toFile "kernel" "the kernel of the machine that the lab runs on\n";
  stdenv.hostPlatform.system = system;

  # k0s of the lab: the stand-in, or the real binary behind the same name; `slipway lab up` shows it to every machine.
  k0s = build "slipway-lab-k0s" "mkdir -p $out/bin && ln -s /opt/slipway-lab/bin/k0s $out/bin/k0s" // {
    pname = "k0s";
  };
  # The stand-in as one release, for which it then answers; the real binary does not care.
  k0sOf =
    version:
    writeShellScriptBin "k0s" ''
      export SLIPWAY_LAB_K0S_VERSION=v${version}
      exec /opt/slipway-lab/bin/k0s "$@"
    ''
    // {
      pname = "k0s";
    };

  # Nix's own downloader; nothing is fetched until a system that has the file is built.
  fetchurl =
    { url, hash }:
    derivation {
      name = baseNameOf url;
      system = "builtin";
      builder = "builtin:fetchurl";
      inherit url;
      urls = [ url ];
      outputHashMode = "flat";
      outputHashAlgo = null;
      outputHash = hash;
      executable = false;
      unpack = false;
      preferLocalBuild = true;
    };
  runCommand = name: _: build name;
  writeText =
    name: text:
    if builtins.hasContext text then
      build name "printf %s ${lib.escapeShellArg text} > $out"
    else
      builtins.toFile name text;
  writeShellScript =
    name: text:
    build name ''
      printf %s ${lib.escapeShellArg "#!${userland}/bin/bash\n${text}"} > $out
      chmod +x $out
    '';
  writeShellScriptBin =
    name: text: build name "mkdir -p $out/bin && ln -s ${writeShellScript name text} $out/bin/${name}";
}
