package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// refused runs the command line as main does, as far as it comes without a running k0s.
func refused(t *testing.T, line, wanted string) {
	t.Helper()
	run, arguments, err := find(strings.Fields(line))
	if err == nil {
		err = run(arguments)
	}
	if err == nil || !strings.Contains(err.Error(), wanted) {
		t.Errorf("k0s %s: %v, wanted %q", line, err, wanted)
	}
}

func TestWhatK0sDoesNotKnowIsRefusedInItsWords(t *testing.T) {
	for line, wanted := range map[string]string{
		"frobnicate":                          `unknown command "frobnicate" for "k0s"`,
		"token frobnicate":                    `unknown command "frobnicate" for "k0s token"`,
		"token":                               "k0s token wants a command",
		"--version":                           "unknown flag: --version",
		"version --short":                     "unknown flag: --short",
		"version now":                         `unknown command "now" for "k0s version"`,
		"status --format=json":                "unknown flag: --format",
		"status -out json":                    `unknown command "json" for "k0s status"`,
		"status -x":                           "unknown shorthand flag: 'x' in -x",
		"status frobnicate":                   `unknown command "frobnicate" for "k0s status"`,
		"status --out":                        "flag needs an argument: --out",
		"controller --listen=1":               "unknown flag: --listen",
		"controller --enable-worker=perhaps":  `invalid argument "perhaps" for "--enable-worker" flag`,
		"worker --config=/etc/k0s/k0s.yaml":   "unknown flag: --config",
		"worker --enable-worker":              "unknown flag: --enable-worker",
		"worker H4sIAAAA":                     `unknown command "H4sIAAAA" for "k0s worker"`,
		"token create --role=node":            `unsupported role "node"; supported roles are "controller" and "worker"`,
		"token create --expiry=10":            "missing unit in duration",
		"token list":                          `unsupported role ""`,
		"token list worker":                   `unknown command "worker" for "k0s token list"`,
		"token invalidate":                    "requires at least 1 arg(s)",
		"config validate":                     `required flag(s) "config" not set`,
		"config validate --config=/nonentity": "no such file",
		"status --out=yaml":                   `output format "yaml"`,
		"sysinfo --output=xml":                `unknown output format: "xml"`,
		"etcd leave 10.0.0.1":                 `unknown command "10.0.0.1" for "k0s etcd leave"`,
		"etcd member-list --all":              "unknown flag: --all",
		"kubeconfig admin --groups=x":         "unknown flag: --groups",
		"reset --force":                       "unknown flag: --force",
		"backup":                              "the save-path directory () does not exist",
		"backup --save-path=/nonentity":       "the save-path directory (/nonentity) does not exist",
		"backup --save-path=/tmp":             "unable to detect cluster status",
		"backup /tmp":                         `unknown command "/tmp" for "k0s backup"`,
		"restore":                             "accepts 1 arg(s), received 0",
		"restore a b":                         "accepts 1 arg(s), received 2",
		"restore /nonentity":                  "given file /nonentity does not exist",
		"restore --config=/a /b":              "unknown flag: --config",
	} {
		refused(t, line, wanted)
	}
}

// The control of the test above: what slipway says to k0s gets as far as the socket of a k0s that does not run.
func TestWhatSlipwaySaysIsTaken(t *testing.T) {
	for _, line := range []string{
		"status -o json", "token create --role=worker --expiry=10m", "token list --role=controller", "token invalidate abcdef",
		"kubeconfig admin", "etcd member-list", "etcd leave --peer-address=10.0.0.1", "etcd leave --peer-address 10.0.0.1",
	} {
		refused(t, line, `status: can't get "status" via "/run/k0s/status.sock"`)
	}
}

func TestTokensThatNobodyCouldUseAreNotMade(t *testing.T) {
	etcd, kine := parse(t, minimal), parse(t, minimal+"  storage: {type: kine}\n")
	for name, each := range map[string]struct {
		status statusReport
		role   string
		wanted string
	}{
		"single":   {statusReport{SingleNode: true, ClusterConfig: &etcd}, "worker", "single node cluster"},
		"kine":     {statusReport{ClusterConfig: &kine}, "controller", "cannot join controller into current storage"},
		"worker":   {statusReport{ClusterConfig: &kine}, "worker", ""},
		"joinable": {statusReport{ClusterConfig: &etcd}, "controller", ""},
	} {
		err := mayJoin(each.status, each.role)
		if each.wanted == "" && err != nil || each.wanted != "" && (err == nil || !strings.Contains(err.Error(), each.wanted)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokensOfTheOtherKindAreRefusedBothWays(t *testing.T) {
	forControllers := newKubeconfig("https://10.0.0.11:9443", []byte("CA"), controllerTokenUser, credentials{Token: "a.b"})
	_, err := (&worker{data: dataDir(t.TempDir())}).joinToken(write(t, encodeToken(forControllers)))
	if err == nil || !strings.Contains(err.Error(), "wrong token type controller-bootstrap, expected type: kubelet-bootstrap") {
		t.Errorf("a controller's token on a worker: %v", err)
	}
	err = (&controller{data: dataDir(t.TempDir())}).mayStart(write(t, encodeToken(workerToken())), true)
	if err == nil || !strings.Contains(err.Error(), "wrong token type kubelet-bootstrap, expected type: controller-bootstrap") {
		t.Errorf("a worker's token on a controller: %v", err)
	}
}

func TestItsOwnSettingsOfContainerdAreOfTheVersionThatItAsksOfDropIns(t *testing.T) {
	own := containerdContent()
	if err := checkDropIn([]byte(own)); err != nil {
		t.Error(err)
	}
	var settings struct {
		Version int
		Imports []string
	}
	if err := toml.Unmarshal([]byte(own), &settings); err != nil {
		t.Fatal(err)
	}
	if settings.Version != 3 || len(settings.Imports) != 1 || settings.Imports[0] != "/etc/k0s/containerd.d/*.toml" {
		t.Errorf("%+v", settings)
	}
	if err := checkDropIn([]byte(strings.Replace(own, "version = 3", "version = 2", 1))); err == nil {
		t.Error("the control: version 2 is taken")
	}
}

func TestDropInsOfAnotherContainerdAreRefused(t *testing.T) {
	const registry = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/etc/k0s/certs.d\"\n"
	for name, each := range map[string]struct{ content, wanted string }{
		"3":       {registry, ""},
		"none":    {"[debug]\nlevel = \"warn\"\n", ""},
		"2":       {"version = 2\n", "unsupported configuration version: expected 3, got 2"},
		"former":  {"version = 3\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n", "is the containerd v1 CRI plugin format"},
		"no TOML": {"version: 3\n", "failed to parse TOML"},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "slipway.toml"), []byte(each.content), 0o644); err != nil {
			t.Fatal(err)
		}
		found := probeDropIns(folder)
		last := found[len(found)-1]
		if each.wanted == "" {
			if err := preFlight(found); err != nil {
				t.Errorf("%s: %v", name, found)
			}
			continue
		}
		if err := preFlight(found); err == nil || last.Category != rejected || !strings.Contains(last.Message, each.wanted) {
			t.Errorf("%s: %v %v", name, err, found)
		}
	}
	if found := probeDropIns(t.TempDir()); len(found) != 1 || found[0].Prop != "no config snippets found" {
		t.Errorf("no drop-in: %v", found)
	}
}

func TestAWorkerKeepsTheAuthorityWhereK0sKeepsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet", "ca.crt")
	if err := writeKubeletCA(workerToken(), path); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(path); !bytes.Equal(content, []byte("CA")) {
		t.Errorf("%q", content)
	}
	without := newKubeconfig("https://10.0.0.11:6443", nil, workerTokenUser, credentials{Token: "a.b"})
	if err := writeKubeletCA(without, path); err == nil || !strings.Contains(err.Error(), "certificate-authority-data") {
		t.Errorf("no authority: %v", err)
	}
	if kubeletCAFile != "/run/k0s/kubelet/ca.crt" || kubeletConfigFile != "/run/k0s/kubelet/config.yaml" {
		t.Errorf("%s, %s", kubeletCAFile, kubeletConfigFile)
	}
}

func TestAFolderOfImagesThatK0sMayNotChangeEndsTheStart(t *testing.T) {
	w := &worker{data: dataDir(t.TempDir())}
	if err := os.Mkdir(w.data.images(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.initImages(); err != nil {
		t.Fatal(err)
	}
	if about, _ := os.Stat(w.data.images()); about.Mode().Perm() != 0o755 {
		t.Error(about.Mode())
	}
	if err := (&worker{data: "/proc"}).initImages(); err == nil {
		t.Error("a file system that takes no folder was taken")
	}
}

func TestFoldersAndFilesHaveK0sModes(t *testing.T) {
	data := dataDir(filepath.Join(t.TempDir(), "k0s"))
	if err := os.MkdirAll(data.path("pki"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &controller{data: data, config: parse(t, minimal), hostname: "cp1"}
	if err := c.makeFolders(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	ca, err := loadAuthority(data.pki("ca"), "kubernetes-ca")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"admin", "ccm", "scheduler"} {
		if err := writePair(data.pki(name), &x509.Certificate{}, &ca, certificateLife); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.writeKubeconfigs(ca.pem); err != nil {
		t.Fatal(err)
	}
	for path, wanted := range map[string]os.FileMode{
		"": 0o755, "pki": 0o751, "pki/etcd": 0o711, "etcd": 0o700, "pki/admin.conf": 0o600, "pki/ca.crt": 0o644,
	} {
		about, err := os.Stat(data.path(path))
		if err != nil || about.Mode().Perm() != wanted {
			t.Errorf("%s: %v %v, wanted %v", path, about, err, wanted)
		}
	}
	admin, err := readKubeconfig(data.adminKubeconfig())
	if err != nil || admin.CurrentContext != "Default" || admin.Clusters[0].Name != "local" || admin.user() != "user" {
		t.Errorf("%v %v", admin, err)
	}
}
