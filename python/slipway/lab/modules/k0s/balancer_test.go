package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// speaks listens and says `word` to whoever calls.
func speaks(t *testing.T, word string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(connection, word)
			connection.Close()
		}
	}()
	return listener
}

func never(context.Context, string) error { return nil }

func TestABalancerReachesEveryServerAndLeavesTheOneThatIsDown(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first, second := speaks(t, "1"), speaks(t, "2")
	rules := balancerRules{dial: time.Second, every: time.Hour, failures: 2, wins: 1, check: never}
	balance := newBalancer("test", rules)
	balance.set(ctx, []string{first.Addr().String(), second.Addr().String()})
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go balance.serve(ctx, front)
	heard := func() string {
		all := map[string]bool{}
		for range 50 {
			connection, err := net.Dial("tcp", front.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			word, _ := io.ReadAll(connection)
			all[string(word)] = true
		}
		return strings.Join(sortedKeys(all), "")
	}
	if found := heard(); found != "12" {
		t.Errorf("both up: %q", found)
	}
	address, down := first.Addr().String(), errors.New("no answer")
	balance.note(address, balance.servers[address], down)
	if found := heard(); found != "12" {
		t.Errorf("one failure of two: %q", found)
	}
	balance.note(address, balance.servers[address], down)
	if found := heard(); found != "2" {
		t.Errorf("the first down: %q", found)
	}
	balance.note(address, balance.servers[address], nil)
	if found := heard(); found != "12" {
		t.Errorf("back: %q", found)
	}
	balance.set(ctx, nil)
	balance.set(ctx, []string{second.Addr().String()})
	if found := heard(); found != "2" {
		t.Errorf("the first taken away: %q", found)
	}
}

func TestAServerIsCheckedByItself(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	gone := speaks(t, "")
	address := gone.Addr().String()
	gone.Close()
	rules := balancerRules{dial: time.Second, every: time.Millisecond, failures: 1, wins: 1, check: dialCheck}
	balance := newBalancer("test", rules)
	balance.set(ctx, []string{address, speaks(t, "2").Addr().String()})
	deadline := time.Now().Add(10 * time.Second)
	for {
		balance.mu.Lock()
		down := balance.servers[address].down
		balance.mu.Unlock()
		if down {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never down")
		}
		time.Sleep(time.Millisecond)
	}
}

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
