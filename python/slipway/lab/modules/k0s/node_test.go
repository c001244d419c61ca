package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestCertificatesHoldForTheirNames(t *testing.T) {
	folder := t.TempDir()
	ca, err := loadAuthority(filepath.Join(folder, "ca"), "test-ca")
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadAuthority(filepath.Join(folder, "ca"), "test-ca")
	if err != nil || !again.certificate.Equal(ca.certificate) {
		t.Fatalf("an authority must stay: %v", err)
	}
	if err := again.issue(filepath.Join(folder, "leaf"), pkix.Name{CommonName: "leaf"}, []string{"localhost", "10.0.0.1"}, x509.ExtKeyUsageServerAuth); err != nil {
		t.Fatal(err)
	}
	pair, err := credentials{CertificateFile: filepath.Join(folder, "leaf.crt"), KeyFile: filepath.Join(folder, "leaf.key")}.pair()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	for name, good := range map[string]bool{"localhost": true, "10.0.0.1": true, "10.0.0.2": false} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if about, _ := os.Stat(filepath.Join(folder, "leaf.key")); about.Mode().Perm() != 0o600 {
		t.Errorf("key: %v", about.Mode())
	}
}

func TestEveryObjectOfTheStacksHasItsPlace(t *testing.T) {
	values := stackValues{"cluster.local", "10.96.0.10", false, []string{"worker-config-default-1.36"}, "1.36"}
	objects, err := renderStacks(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range objects {
		path, err := resourcePath(each)
		if err != nil || strings.Contains(path, "%") {
			t.Errorf("%s: %s %v", describe(each), path, err)
		}
	}
	without, _ := renderStacks(values, []string{"coredns"})
	if len(without) >= len(objects) || len(without) == 0 {
		t.Errorf("disabling coredns: %d of %d objects", len(without), len(objects))
	}
}

func TestTheKubeletGetsClusterAndMachine(t *testing.T) {
	c := &controller{config: parse(t, minimal+"  workerProfiles: [{name: big, values: {maxPods: 250}}]\n")}
	configs, err := c.workerConfigs([]string{"10.0.0.11:6443"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(configs), " "); got != "worker-config-big-1.36 worker-config-default-1.36" {
		t.Fatal(got)
	}
	shared := configs[0]["data"].(object)["kubeletConfiguration"].(string)
	w := &worker{data: "/d", kubelet: &kubeletOptions{profile: "big"}}
	content, err := w.kubeletConfiguration(shared, "/w1")
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	if err := yaml.Unmarshal(content, &settings); err != nil {
		t.Fatal(err)
	}
	if settings["maxPods"] != 250 || settings["cgroupRoot"] != "/w1" || settings["clusterDomain"] != "cluster.local" {
		t.Errorf("%v", settings)
	}
}

func TestAControllerWithWorkloadsIsTainted(t *testing.T) {
	options := kubeletOptions{labels: "a=b"}
	options.forController(false)
	if options.taints != "node-role.kubernetes.io/control-plane:NoSchedule" || !strings.HasPrefix(options.labels, "a=b,") {
		t.Errorf("%+v", options)
	}
	free := kubeletOptions{}
	free.forController(true)
	if free.taints != "" {
		t.Errorf("%+v", free)
	}
}

func archiveFile(t *testing.T, tag, layer string) string {
	t.Helper()
	config := fmt.Sprintf(`{"rootfs":{"diff_ids":["sha256:%x"]}}`, sha256.Sum256([]byte(layer)))
	var content bytes.Buffer
	writer := tar.NewWriter(&content)
	for _, file := range [][2]string{
		{"layer.tar", layer},
		{"config.json", config},
		{"manifest.json", fmt.Sprintf(`[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, tag)},
	} {
		if err := writer.WriteHeader(&tar.Header{Name: file[0], Typeflag: tar.TypeReg, Size: int64(len(file[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, content.String())
}

func TestAnArchiveIsKnownByItsContent(t *testing.T) {
	archives := readArchives([]string{
		archiveFile(t, "example.org/a:1", "one"), archiveFile(t, "example.org/a:1", "one"),
		archiveFile(t, "example.org/a:1", "two"), archiveFile(t, "example.org/a:2", "one"), write(t, "no tar"),
	})
	if len(archives) != 4 {
		t.Fatalf("%d archives", len(archives))
	}
	if archives[0].digest != archives[1].digest {
		t.Error("the same content has two digests")
	}
	if archives[0].digest == archives[2].digest || archives[0].digest == archives[3].digest {
		t.Error("other content has the same digest")
	}
}

func TestWhatANodeNeedsFirstComesFirst(t *testing.T) {
	data := dataDir(t.TempDir())
	for name, tag := range map[string]string{
		"a.tar": "ghcr.io/fluxcd/x:1", "b.tar": "registry.k8s.io/coredns/coredns:v1",
		"c.tar": "quay.io/cilium/cilium:v1", "d.tar": "registry.k8s.io/pause:3.10",
	} {
		content, err := os.ReadFile(archiveFile(t, tag, "layer"))
		if err != nil {
			t.Fatal(err)
		}
		if err := writeFile(filepath.Join(data.images(), name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	first, rest := imageArchives(data)
	var order []string
	for _, each := range first {
		order = append(order, filepath.Base(each.path))
	}
	if strings.Join(order, " ") != "d.tar c.tar b.tar" || len(rest) != 1 {
		t.Errorf("%v, then %d", order, len(rest))
	}
}

func TestAComponentIsStartedAgainAndStopped(t *testing.T) {
	pidDir = t.TempDir()
	count := filepath.Join(t.TempDir(), "count")
	started, err := startComponent("slipway-test", "sh", "-c", "echo x >> "+count+"; [ $(wc -l < "+count+") -gt 1 ] && exec sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for content := ""; strings.Count(content, "x") < 2; {
		if time.Now().After(deadline) {
			t.Fatal("was not started again")
		}
		time.Sleep(20 * time.Millisecond)
		found, _ := os.ReadFile(count)
		content = string(found)
	}
	started.stop()
	if exists(pidFile("slipway-test")) {
		t.Error("its pid file is still there")
	}
}

func TestAKernelSettingThatFitsIsLeftAlone(t *testing.T) {
	path := write(t, "10\n")
	if err := settleOne(path, "10"); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(path); string(content) != "10\n" {
		t.Errorf("%q", content)
	}
	if err := settleOne(path, "1"); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(path); string(content) != "1" {
		t.Errorf("%q", content)
	}
}

func TestEveryMinorReleaseHasItsOwnProfileAndRules(t *testing.T) {
	was := k0sVersion
	defer func() { k0sVersion = was }()
	for asked, wanted := range map[string]string{"": "1.36", "v1.35.7+k0s.0": "1.35", "v1.36.3+k0s.2": "1.36"} {
		k0sVersion = statedVersion(asked)
		if found := workerConfigName("default"); found != "worker-config-default-"+wanted {
			t.Errorf("%q: %s", asked, found)
		}
		if dropInsAreProbed() != (wanted == "1.36") {
			t.Errorf("%q: drop-ins are probed: %t", asked, dropInsAreProbed())
		}
	}
	objects, err := renderStacks(stackValues{WorkerConfigs: []string{"x"}, Minor: "1.35"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(names(objects), " "), "system:bootstrappers:worker-config-1.35") {
		t.Error(names(objects))
	}
}
