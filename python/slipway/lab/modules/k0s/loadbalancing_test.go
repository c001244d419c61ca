package main

import (
	"bytes"
	"context"
	"net"
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
	var content bytes.Buffer
	if err := keepalivedTemplate.Execute(&content, map[string]any{"StandIn": standIn, "Instances": spec.VRRPInstances}); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{
		"vrrp_instance k0s-vip-0", "state BACKUP", "interface eth7", "virtual_router_id 52", "advert_int 1", "auth_pass secret", "10.0.0.10/24",
	} {
		if !strings.Contains(content.String(), wanted) {
			t.Errorf("lacks %q: %s", wanted, content.String())
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
