package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"slipway.lab/k0s/balance"
)

const (
	nllbKubeconfig  = runDir + "/nllb/kubeconfig.yaml"
	nllbDefaultPort = 7443
	profileEvery    = 2 * time.Second
)

// envoyRules are those that k0s gives to Envoy (pkg/component/worker/nllb/envoy.go). Envoy itself is a pod of k0s; here
// the worker does its work.
var envoyRules = balance.Rules{
	Dial: 250 * time.Millisecond, Every: 5 * time.Second, Timeout: time.Second, Failures: 5, Wins: 3,
	Believed: balance.Envoy, Check: balance.Connects,
}

// profile is a ConfigMap that a worker reads (pkg/component/worker/config): its fields are JSON, but for the kubelet's.
type profile struct {
	kubelet   string
	servers   []string
	balancing map[string]any
}

func readProfile(data object) (profile, error) {
	text := func(key string) []byte { value, _ := data[key].(string); return []byte(value) }
	found := profile{kubelet: string(text("kubeletConfiguration"))}
	var failures []error
	for key, into := range map[string]any{"apiServerAddresses": &found.servers, "nodeLocalLoadBalancing": &found.balancing} {
		if content := text(key); len(content) > 0 {
			failures = append(failures, json.Unmarshal(content, into))
		}
	}
	return found, errors.Join(failures...)
}

// remembered are the API servers of the profile that this worker saw last: one that starts while the controller of its
// kubeconfig is away finds another one by them.
func remembered(data dataDir) []string {
	content, err := os.ReadFile(data.path("worker-profile.yaml"))
	if err != nil {
		return nil
	}
	var kept struct{ Data object }
	if yaml.Unmarshal(content, &kept) != nil {
		return nil
	}
	found, _ := readProfile(kept.Data)
	return found.servers
}

func remember(data dataDir, name string, of object) error {
	content, err := yaml.Marshal(object{"name": name, "data": of})
	if err != nil {
		return err
	}
	return writeFile(data.path("worker-profile.yaml"), content, 0o644)
}

// startBalancer listens where `localhost` leads first, as k0s does, and follows the API servers of the worker's profile.
func (w *worker) startBalancer(ctx context.Context, first profile, as kubeconfig) error {
	listener, err := net.Listen("tcp", localAPI(ctx, first.balancing))
	if err != nil {
		return fmt.Errorf("node-local load balancer: %w", err)
	}
	servers := first.servers
	if len(servers) == 0 {
		servers = []string{hostOf(as.server())}
	}
	balancer := balance.New("node-local load balancer", envoyRules, say)
	balancer.Set(ctx, servers)
	w.local = "https://" + listener.Addr().String()
	go balancer.Serve(ctx, listener)
	go w.followServers(ctx, balancer, as.at(w.local))
	return nil
}

func localAPI(ctx context.Context, balancing map[string]any) string {
	port := nllbDefaultPort
	if envoy, _ := balancing["envoyProxy"].(map[string]any); envoy != nil {
		if given, _ := envoy["apiServerBindPort"].(float64); given > 0 {
			port = int(given)
		}
	}
	return net.JoinHostPort(loopback(ctx), strconv.Itoa(port))
}

func loopback(ctx context.Context) string {
	found, _ := net.DefaultResolver.LookupIPAddr(ctx, "localhost")
	first := slices.IndexFunc(found, func(each net.IPAddr) bool { return each.IP.IsLoopback() })
	if first < 0 {
		return "127.0.0.1"
	}
	return found[first].IP.String()
}

func hostOf(server string) string {
	parsed, err := url.Parse(server)
	if err != nil {
		return ""
	}
	return parsed.Host
}

// followServers asks for the profile through the balancer itself, as whoever the worker is by then.
func (w *worker) followServers(ctx context.Context, balancer *balance.Balancer, as kubeconfig) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(profileEvery):
		}
		if own, err := readKubeconfig(w.data.kubeletConfig()); err == nil {
			as = own.at(w.local)
		}
		api, err := as.client()
		if err != nil {
			continue
		}
		data, err := w.askProfile(ctx, api)
		api.http.CloseIdleConnections()
		if err != nil {
			continue
		}
		if found, err := readProfile(data); err == nil {
			setServers(ctx, balancer, found.servers)
			_ = remember(w.data, w.kubelet.profile, data)
		}
	}
}

// setServers gives a balancer its servers. None at all is a mistake of the moment, and changes nothing.
func setServers(ctx context.Context, balancer *balance.Balancer, servers []string) {
	if len(servers) > 0 {
		balancer.Set(ctx, servers)
	}
}

func (w *worker) askProfile(ctx context.Context, api *client) (object, error) {
	found, err := api.get(ctx, "/api/v1/namespaces/kube-system/configmaps/"+workerConfigName(w.kubelet.profile))
	if err != nil {
		return nil, err
	}
	data, _ := found["data"].(object)
	return data, nil
}
