package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	defaultDataDir    = "/var/lib/k0s"
	defaultConfigFile = "/etc/k0s/k0s.yaml"
	runDir            = "/run/k0s"
	statusSocket      = runDir + "/status.sock"
	containerdSocket  = runDir + "/containerd.sock"
	cniBinDir         = "/opt/cni/bin"
	cniConfigDir      = "/etc/cni/net.d"
)

// dataDir is k0s's data directory; the names below it are k0s's own.
type dataDir string

func (d dataDir) path(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

func (d dataDir) pki(name string) string  { return d.path("pki", name) }
func (d dataDir) etcdData() string        { return d.path("etcd") }
func (d dataDir) kubeletConfig() string   { return d.path("kubelet.conf") }
func (d dataDir) adminKubeconfig() string { return d.pki("admin.conf") }
func (d dataDir) founded() bool           { return exists(d.path("etcd", "member", "snap", "db")) }
func (d dataDir) joined() bool            { return exists(d.kubeletConfig()) }
func (d dataDir) images() string          { return d.path("images") }
func (d dataDir) importedImage(digest string) string {
	return d.path("containerd", "slipway-imported", digest)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// searchPath names the folders of programs: this program's own, the lab's, PATH, and Debian's, since the unit of a NixOS
// system has a PATH of store paths only.
func searchPath() string {
	folders := []string{"/opt/slipway-lab/bin"}
	if self, err := os.Executable(); err == nil {
		folders = append([]string{filepath.Dir(self)}, folders...)
	}
	folders = append(folders, os.Getenv("PATH"), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	return strings.Join(folders, ":")
}

func program(name string) (string, error) {
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: not found in %s", name, os.Getenv("PATH"))
	}
	return found, nil
}

// writeFile writes to a temporary name and renames, so that nobody ever reads half a file.
func writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return err
	}
	// WriteFile keeps the mode of a file left behind by a crash.
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// makeFolder makes a folder and its mode, whatever the umask and an earlier run say.
func makeFolder(path string, mode os.FileMode) error {
	return errors.Join(os.MkdirAll(path, mode), os.Chmod(path, mode))
}

// flags are the options of a component, printed in a stable order.
type flags map[string]string

// with returns these flags overlaid by k0s.yaml's extraArgs.
func (f flags) with(extra map[string]string) flags {
	all := maps.Clone(f)
	maps.Copy(all, extra)
	return all
}

func (f flags) arguments() []string {
	var found []string
	for _, name := range sortedKeys(f) {
		found = append(found, "--"+name+"="+f[name])
	}
	return found
}

func sortedKeys[Value any](of map[string]Value) []string {
	return slices.Sorted(maps.Keys(of))
}

func splitList(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ","), func(each string) bool { return each == "" })
}
