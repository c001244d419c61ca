package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.lab/k0s/balance"
)

const bootstrapText = `
dynamic_resources:
  cds_config: {path: /etc/envoy/cds.yaml}
static_resources:
  listeners:
  - name: apiserver
    address:
      socket_address: { address: "127.0.0.1", port_value: %s }
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config: {"@type": x, stat_prefix: apiserver, cluster: apiserver}
`

// clusters writes the file as k0s does: whole, under its name by a rename.
func clusters(t *testing.T, folder string, servers ...string) {
	t.Helper()
	text := "resources:\n- name: apiserver\n  connect_timeout: 0.25s\n  health_checks:\n" +
		"  - {tcp_health_check: {}, timeout: 1s, interval: 0.05s, healthy_threshold: 3, unhealthy_threshold: 5}\n" +
		"  load_assignment:\n    endpoints:\n    - lb_endpoints:"
	for _, server := range servers {
		host, port, _ := net.SplitHostPort(server)
		text += fmt.Sprintf("\n      - endpoint: {address: {socket_address: {address: %q, port_value: %s}}}", host, port)
	}
	if len(servers) == 0 {
		text += " []"
	}
	draft := filepath.Join(folder, "draft")
	if err := os.WriteFile(draft, []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(draft, filepath.Join(folder, "cds.yaml")); err != nil {
		t.Fatal(err)
	}
}

// server answers each connection with its name, and returns its address.
func server(t *testing.T, name string) string {
	t.Helper()
	opened, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	go func() {
		for {
			client, err := opened.Accept()
			if err != nil {
				return
			}
			asked, _ := io.ReadAll(client)
			fmt.Fprintf(client, "%s heard %s", name, asked)
			client.Close()
		}
	}()
	return opened.Addr().String()
}

func nobody(t *testing.T) string {
	t.Helper()
	opened, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	return opened.Addr().String()
}

// ask sends a word through the balancer and returns the whole answer; empty where nobody took the connection.
func ask(address string) string {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return ""
	}
	defer connection.Close()
	fmt.Fprint(connection, "hello")
	_ = connection.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(connection)
	return string(answer)
}

func eventually(t *testing.T, address, wanted string) {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if last = ask(address); last == wanted {
			return
		}
	}
	t.Fatalf("%q, wanted %q", last, wanted)
}

func TestConnectionsReachTheServersThatAreThereNow(t *testing.T) {
	folder, own := t.TempDir(), nobody(t)
	_, port, _ := net.SplitHostPort(own)
	file := filepath.Join(folder, "envoy.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, bootstrapText, port), 0o644); err != nil {
		t.Fatal(err)
	}
	clusters(t, folder, server(t, "cp1"))
	go func() {
		if err := serve(t.Context(), file); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, own, "cp1 heard hello")
	clusters(t, folder, server(t, "cp2"))
	eventually(t, own, "cp2 heard hello")
	clusters(t, folder, nobody(t), server(t, "cp2"), server(t, "cp2"))
	for row, deadline := 0, time.Now().Add(20*time.Second); row < 50; row++ {
		if time.Now().After(deadline) {
			t.Fatal("clients are led to a server that is down for good")
		}
		if ask(own) != "cp2 heard hello" {
			row = -1
			time.Sleep(20 * time.Millisecond)
		}
	}
	clusters(t, folder)
	eventually(t, own, "")
}

func TestWhatItCannotDoIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"listener":  "dynamic_resources: {cds_config: {path: x}}\nstatic_resources: {listeners: [{name: api, filter_chains: []}]}\n",
		"no list":   "static_resources: {}\n",
		"not YAML":  "static_resources: [",
		"no filter": "",
	} {
		file := filepath.Join(t.TempDir(), "envoy.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := serve(t.Context(), file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheFilesOfK0sSayHowServersAreTreated(t *testing.T) {
	folder := t.TempDir()
	clusters(t, folder, "10.0.0.11:6443", "10.0.0.12:6443")
	path := filepath.Join(folder, "cds.yaml")
	found, err := readClusters(path)
	if err != nil {
		t.Fatal(err)
	}
	api := found["apiserver"]
	if fmt.Sprint(api.servers) != "[10.0.0.11:6443 10.0.0.12:6443]" {
		t.Error(api.servers)
	}
	api.rules.Check = nil
	wanted := balance.Rules{Dial: 250 * time.Millisecond, Every: 50 * time.Millisecond, Timeout: time.Second, Failures: 5, Wins: 3,
		Believed: 50}
	if fmt.Sprint(api.rules) != fmt.Sprint(wanted) {
		t.Error(api.rules)
	}
	content, _ := os.ReadFile(path)
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), "tcp_health_check", "http_health_check", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readClusters(path); err == nil || !strings.Contains(err.Error(), "tcp_health_check") {
		t.Error(err)
	}
}
