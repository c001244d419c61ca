# k0s as its makers publish it: one static binary. `hashes` (platform to sha256-...) serves a release that the table
# does not know yet.
{
  lib,
  stdenvNoCC,
  fetchurl,
  installShellFiles,
  makeWrapper,
  runCommand,
  util-linux,
  version,
  hashes ? { },
}:
let
  known = builtins.fromJSON (builtins.readFile ./versions.json);
  system = stdenvNoCC.hostPlatform.system;
  architecture = {
    x86_64-linux = "amd64";
    aarch64-linux = "arm64";
    armv7l-linux = "arm";
  };
  unknown = throw "slipway: no hash of k0s ${version} for ${system} is known: set cluster.k0s.hashes in the inventory";
  hash = hashes.${system} or known.${version}.${system} or unknown;
in
stdenvNoCC.mkDerivation (finalAttrs: {
  pname = "k0s";
  inherit version;
  src = fetchurl {
    url = "https://github.com/k0sproject/k0s/releases/download/v${version}/k0s-v${version}-${architecture.${system}}";
    inherit hash;
  };
  dontUnpack = true;
  # Programs are appended to the binary: stripping or patching it would cut them off.
  dontStrip = true;
  dontFixup = true;
  nativeBuildInputs = [ installShellFiles makeWrapper ];
  # mount and umount must be found by kubelet, however k0s is called.
  installPhase = ''
    runHook preInstall
    install -Dm755 $src $out/bin/k0s
    wrapProgram $out/bin/k0s --prefix PATH : ${lib.makeBinPath [ util-linux ]}
    ${lib.optionalString (stdenvNoCC.buildPlatform.canExecute stdenvNoCC.hostPlatform) ''
      for shell in bash fish zsh; do
        $out/bin/k0s completion $shell >k0s.$shell
        installShellCompletion --cmd k0s --$shell k0s.$shell
      done
    ''}
    runHook postInstall
  '';
  passthru.tests.version = runCommand "k0s-states-its-version" { } ''
    ${finalAttrs.finalPackage}/bin/k0s version | grep --fixed-strings --line-regexp 'v${version}'
    touch $out
  '';
  meta = {
    description = "Kubernetes distribution in one binary";
    homepage = "https://k0sproject.io";
    changelog = "https://github.com/k0sproject/k0s/releases/tag/v${version}";
    license = lib.licenses.asl20;
    sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];
    platforms = builtins.attrNames architecture;
    mainProgram = "k0s";
  };
})
