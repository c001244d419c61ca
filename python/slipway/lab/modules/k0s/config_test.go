package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const minimal = `
spec:
  api: {address: 10.0.0.11}
  network: {provider: custom, kubeProxy: {disabled: true}}
`

func parse(t *testing.T, text string) clusterConfig {
	t.Helper()
	config, err := parseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestDefaultsAreThoseOfK0s(t *testing.T) {
	config := parse(t, minimal)
	if config.apiURL() != "https://10.0.0.11:6443" || config.joinURL() != "https://10.0.0.11:9443" {
		t.Errorf("URLs: %s, %s", config.apiURL(), config.joinURL())
	}
	if config.serviceAddress(1) != "10.96.0.1" || config.serviceAddress(10) != "10.96.0.10" {
		t.Errorf("service addresses: %s, %s", config.serviceAddress(1), config.serviceAddress(10))
	}
	if config.Spec.Storage.Etcd.PeerAddress != "10.0.0.11" {
		t.Errorf("peer address: %s", config.Spec.Storage.Etcd.PeerAddress)
	}
}

func TestTheExternalAddressIsWhatOthersSee(t *testing.T) {
	config := parse(t, minimal+"---\n")
	config.Spec.API.ExternalAddress = "k8s.example.org"
	if config.apiURL() != "https://k8s.example.org:6443" {
		t.Error(config.apiURL())
	}
}

func TestMistakesAreRefused(t *testing.T) {
	for text, wanted := range map[string]string{
		"spec: {api: {adress: 10.0.0.1}}":                                                               `unknown field "adress" (in ClusterConfig.spec.api)`,
		"spec: {network: {nodeLocalLoadBalancing: {enable: true}}}":                                     `unknown field "enable" (in ClusterConfig.spec.network.nodeLocalLoadBalancing)`,
		"spec: {network: {controlPlaneLoadBalancing: {keepalived: {vrrpInstances: [{virtualIP: x}]}}}}": `"virtualIP" (in ClusterConfig.spec.network.controlPlaneLoadBalancing.keepalived.vrrpInstances[0])`,
		"spec: {telemetry: {enabled: false, url: x}}":                                                   `unknown field "url"`,
		"sepc: {}":                                                                                `unknown field "sepc" (in ClusterConfig)`,
		"spec: {api: {address: ten}}":                                                             "spec.api.address",
		"spec: {network: {podCIDR: 10.244.0.0}}":                                                  "spec.network.podCIDR",
		"spec: {network: {provider: cilium}}":                                                     "unsupported network provider: cilium",
		"spec: {storage: {type: sqlite}}":                                                         "unsupported storage type: sqlite",
		"spec: {network: {kubeProxy: {disabled: true}}, podCIDR}":                                 "podCIDR",
		"spec: {network: {podCIDR: 'fd00:244::/104', serviceCIDR: 'fd00:96::/112'}}":              `"fd00:96::/112": IPv6 service CIDR prefix must be <= 108`,
		"spec: {network: {podCIDR: 'fd00:244::/104'}}":                                            "podCIDR and serviceCIDR must be both IPv4 or IPv6",
		"spec: {api: {externalAddress: a.b}, network: {nodeLocalLoadBalancing: {enabled: true}}}": "nodeLocalLoadBalancing",
	} {
		_, err := parseConfig([]byte(text))
		if err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%s: %v, wanted %q", text, err, wanted)
		}
	}
}

func TestWhatIsLeftOutIsNamed(t *testing.T) {
	if found := parse(t, minimal).leftOut(); len(found) != 0 {
		t.Errorf("of what the lab asks: %v", found)
	}
	config := parse(t, "spec: {network: {provider: calico, dualStack: {enabled: true}}}")
	found := strings.Join(config.leftOut(), "\n")
	for _, wanted := range []string{"calico", "kube-proxy", "dualStack"} {
		if !strings.Contains(found, wanted) {
			t.Errorf("%q lacks %s", found, wanted)
		}
	}
}

func TestExtraArgsWin(t *testing.T) {
	config := parse(t, "spec: {api: {address: 10.0.0.1, extraArgs: {profiling: 'true'}}}")
	arguments := flags{"profiling": "false", "secure-port": "6443"}.with(config.Spec.API.ExtraArgs).arguments()
	if strings.Join(arguments, " ") != "--profiling=true --secure-port=6443" {
		t.Error(arguments)
	}
}

func TestTheStatusCarriesTheConfiguration(t *testing.T) {
	config := parse(t, minimal)
	content, err := config.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back clusterConfig
	if err := back.UnmarshalJSON(content); err != nil {
		t.Fatal(err)
	}
	if back.apiURL() != config.apiURL() || !back.Spec.Network.KubeProxy.Disabled {
		t.Errorf("%+v", back)
	}
}

const ipv6 = "spec: {api: {address: 'fd00::11'}, network: {podCIDR: 'fd00:244::/104', serviceCIDR: 'fd00:96::/108'}}"

func TestAddressesOfIPv6StandInBracketsBeforeAPort(t *testing.T) {
	config := parse(t, ipv6)
	if config.apiURL() != "https://[fd00::11]:6443" || config.serviceAddress(10) != "fd00:96::a" {
		t.Error(config.apiURL(), config.serviceAddress(10))
	}
}

func TestIPv6AloneWantsItsGate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k0s.yaml")
	if err := os.WriteFile(file, []byte(ipv6), 0o600); err != nil {
		t.Fatal(err)
	}
	err := validateConfig([]string{"--config", file})
	if err == nil || !strings.Contains(err.Error(), "feature gate IPv6SingleStack must be explicitly enabled") {
		t.Errorf("without: %v", err)
	}
	if err := validateConfig([]string{"--config", file, "--feature-gates=IPv6SingleStack=true"}); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"IPv6SingleStack", "IPv6SingleStack=maybe", "Other=true"} {
		if err := validateConfig([]string{"--config", file, "--feature-gates=" + wrong}); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func TestTheVirtualAddressIsRedirectedInItsFamily(t *testing.T) {
	for address, wanted := range map[string]string{"fd00::10": "ip6tables", "10.0.0.10": "iptables"} {
		if found := iptablesOf(address); found != wanted {
			t.Errorf("%s: %s", address, found)
		}
	}
}
