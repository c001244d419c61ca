package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const virtual = `
spec:
  api: {address: 10.0.0.11}
  network:
    provider: custom
    controlPlaneLoadBalancing:
      enabled: true
      type: Keepalived
      keepalived: {vrrpInstances: [{virtualIPs: [10.0.0.10/24], interface: eth7, virtualRouterID: 52, authPass: secret}]}
    nodeLocalLoadBalancing: {enabled: true, type: EnvoyProxy, envoyProxy: {apiServerBindPort: 7444}}
`

func TestTheVirtualAddressIsKeepalivedsAndTheCertificates(t *testing.T) {
	config := parse(t, virtual)
	spec, asked, err := config.keepalived()
	if err != nil || !asked || spec.UserSpaceProxyBindPort != 6444 {
		t.Fatalf("%+v %v", spec, err)
	}
	content, err := spec.rendered(6443)
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{
		"vrrp_instance k0s-vip-0", "state BACKUP", "interface eth7", "virtual_router_id 52", "advert_int 1", "auth_pass secret", "10.0.0.10/24",
	} {
		if !strings.Contains(string(content), wanted) {
			t.Errorf("lacks %q: %s", wanted, content)
		}
	}
	names := strings.Join((&controller{config: config}).serverNames(), " ")
	if !strings.Contains(names, " 10.0.0.10") {
		t.Error(names)
	}
	if _, asked, _ := parse(t, minimal).keepalived(); asked {
		t.Error("nobody asked for it")
	}
}

func TestATemplateOfTheUsersTakesThePlaceOfK0ss(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keepalived.conf.tmpl")
	spec, _, err := parse(t, strings.Replace(virtual, "keepalived: {", "keepalived: {configTemplateVRRP: "+file+", ", 1)).keepalived()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spec.rendered(6443); err == nil || !strings.Contains(err.Error(), "failed to read config template from "+file) {
		t.Error(err)
	}
	text := "{{ range .VRRPInstances }}{{ .Interface }} {{ .VirtualRouterID }} {{ .AuthPass }} {{ .VirtualIPs }}{{ end }} {{ .RunDir }}"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	content, err := spec.rendered(6443)
	if err != nil || !strings.HasSuffix(string(content), "\neth7 52 secret [10.0.0.10/24] "+runDir) {
		t.Errorf("%s %v", content, err)
	}
	if err := os.WriteFile(file, []byte("{{ .Nonsense }}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := spec.rendered(6443); err == nil || !strings.Contains(err.Error(), "failed to generate keepalived template") {
		t.Error(err)
	}
}

func TestVirtualAddressesThatK0sRefusesAreRefused(t *testing.T) {
	for change, wanted := range map[string]string{
		"secret":       "too-long-for-vrrp AuthPass must be between 1 and 8",
		"10.0.0.10/24": "10.0.0.10 no '/'",
	} {
		to, said, _ := strings.Cut(wanted, " ")
		_, err := parseConfig([]byte(strings.Replace(virtual, change, to, 1)))
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestAWorkerFollowsAndRemembersItsProfile(t *testing.T) {
	c := &controller{config: parse(t, virtual)}
	configs, err := c.workerConfigs([]string{"10.0.0.11:6443", "10.0.0.12:6443"})
	if err != nil {
		t.Fatal(err)
	}
	data := dataDir(t.TempDir())
	if err := remember(data, "default", configs[0]["data"].(object)); err != nil {
		t.Fatal(err)
	}
	if found := strings.Join(remembered(data), " "); found != "10.0.0.11:6443 10.0.0.12:6443" {
		t.Error(found)
	}
	found, err := readProfile(configs[0]["data"].(object))
	if err != nil || !enabled(found.balancing) || found.kubelet == "" {
		t.Errorf("%+v %v", found, err)
	}
	if _, port, _ := net.SplitHostPort(localAPI(context.Background(), found.balancing)); port != "7444" {
		t.Error(port)
	}
	if _, port, _ := net.SplitHostPort(localAPI(context.Background(), nil)); port != "7443" {
		t.Error(port)
	}
	if len(remembered(dataDir(t.TempDir()))) != 0 {
		t.Error("nothing to remember")
	}
}

func TestKeepalivedRunsAsTheUserOfItsNameOrAsRoot(t *testing.T) {
	if found := strings.Join(asUser("nobody"), " "); !strings.HasPrefix(found, "setpriv --reuid=65534 --regid=") {
		t.Error(found)
	}
	if found := asUser("no-such-user"); found != nil {
		t.Error(found)
	}
}
