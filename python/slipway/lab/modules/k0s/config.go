package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"

	flag "github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// clusterConfig is k0s.yaml as far as k0s 1.36 knows it (type v1beta1.ClusterConfig); other keys are refused
// as k0s refuses them (fields.go). Subtrees that the stand-in does not act upon are open maps.
type clusterConfig struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   map[string]any `yaml:"metadata"`
	Spec       clusterSpec    `yaml:"spec"`
}

type clusterSpec struct {
	API               apiSpec          `yaml:"api"`
	Storage           storageSpec      `yaml:"storage"`
	Network           networkSpec      `yaml:"network"`
	ControllerManager extraArgs        `yaml:"controllerManager"`
	Scheduler         extraArgs        `yaml:"scheduler"`
	WorkerProfiles    []workerProfile  `yaml:"workerProfiles"`
	Telemetry         map[string]any   `yaml:"telemetry"`
	InstallConfig     map[string]any   `yaml:"installConfig"`
	Images            map[string]any   `yaml:"images"`
	Extensions        map[string]any   `yaml:"extensions"`
	Konnectivity      map[string]any   `yaml:"konnectivity"`
	FeatureGates      []map[string]any `yaml:"featureGates"`
	MetricsServer     map[string]any   `yaml:"metricsServer"`
}

type extraArgs struct {
	ExtraArgs map[string]string `yaml:"extraArgs"`
	RawArgs   []string          `yaml:"rawArgs"`
}

type apiSpec struct {
	Address           string         `yaml:"address"`
	OnlyBindToAddress bool           `yaml:"onlyBindToAddress"`
	ExternalAddress   string         `yaml:"externalAddress"`
	Port              int            `yaml:"port"`
	K0sAPIPort        int            `yaml:"k0sApiPort"`
	SANs              []string       `yaml:"sans"`
	CA                map[string]any `yaml:"ca"`
	extraArgs         `yaml:",inline"`
}

type storageSpec struct {
	Type string         `yaml:"type"`
	Etcd etcdSpec       `yaml:"etcd"`
	Kine map[string]any `yaml:"kine"`
}

type etcdSpec struct {
	PeerAddress     string         `yaml:"peerAddress"`
	ExternalCluster map[string]any `yaml:"externalCluster"`
	CA              map[string]any `yaml:"ca"`
	extraArgs       `yaml:",inline"`
}

type networkSpec struct {
	Provider                  string         `yaml:"provider"`
	PodCIDR                   string         `yaml:"podCIDR"`
	ServiceCIDR               string         `yaml:"serviceCIDR"`
	ClusterDomain             string         `yaml:"clusterDomain"`
	PrimaryAddressFamily      string         `yaml:"primaryAddressFamily"`
	KubeProxy                 kubeProxySpec  `yaml:"kubeProxy"`
	DualStack                 map[string]any `yaml:"dualStack"`
	NodeLocalLoadBalancing    map[string]any `yaml:"nodeLocalLoadBalancing"`
	ControlPlaneLoadBalancing map[string]any `yaml:"controlPlaneLoadBalancing"`
	Calico                    map[string]any `yaml:"calico"`
	KubeRouter                map[string]any `yaml:"kuberouter"`
	CoreDNS                   map[string]any `yaml:"coreDNS"`
}

type kubeProxySpec struct {
	Disabled bool           `yaml:"disabled"`
	Rest     map[string]any `yaml:",inline"`
}

type workerProfile struct {
	Name   string         `yaml:"name"`
	Values map[string]any `yaml:"values"`
}

// defaultConfig holds k0s's own defaults for the values that the stand-in acts upon.
func defaultConfig() clusterConfig {
	var config clusterConfig
	config.Spec.API.Port = 6443
	config.Spec.API.K0sAPIPort = 9443
	config.Spec.Storage.Type = "etcd"
	config.Spec.Network.Provider = "kuberouter"
	config.Spec.Network.PodCIDR = "10.244.0.0/16"
	config.Spec.Network.ServiceCIDR = "10.96.0.0/12"
	config.Spec.Network.ClusterDomain = "cluster.local"
	return config
}

func loadConfig(path string) (clusterConfig, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return clusterConfig{}, err
	}
	config, err := parseConfig(content)
	if err != nil {
		return clusterConfig{}, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

// loadGated is loadConfig for those commands of k0s that ask whether IPv6 alone is wanted.
func loadGated(path string, gates featureGates) (clusterConfig, error) {
	config, err := loadConfig(path)
	if err == nil && config.ipv6Only() && !gates.ipv6SingleStack {
		err = fmt.Errorf("spec: network: podCIDR: Invalid value: %q: feature gate IPv6SingleStack must be explicitly enabled to use IPv6 single stack", config.Spec.Network.PodCIDR)
	}
	return config, err
}

func parseConfig(content []byte) (clusterConfig, error) {
	var raw map[string]any
	if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
		return clusterConfig{}, err
	}
	if unknown := unknownFields("ClusterConfig", raw, knownFields); len(unknown) > 0 {
		return clusterConfig{}, errors.Join(unknown...)
	}
	config := defaultConfig()
	if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&config); err != nil && !errors.Is(err, io.EOF) {
		return clusterConfig{}, err
	}
	if config.Spec.API.Address == "" {
		config.Spec.API.Address = firstAddress()
	}
	if config.Spec.Storage.Etcd.PeerAddress == "" {
		config.Spec.Storage.Etcd.PeerAddress = config.Spec.API.Address
	}
	return config, config.validate()
}

// validate returns every mistake at once.
func (config clusterConfig) validate() error {
	spec := config.Spec
	var found []error
	for path, text := range map[string]string{
		"spec.network.podCIDR":     spec.Network.PodCIDR,
		"spec.network.serviceCIDR": spec.Network.ServiceCIDR,
	} {
		if _, err := netip.ParsePrefix(text); err != nil {
			found = append(found, fmt.Errorf("%s: %w", path, err))
		}
	}
	if config.ipv6Only() && netip.MustParsePrefix(spec.Network.ServiceCIDR).Bits() > 108 {
		found = append(found, fmt.Errorf("spec.network.serviceCIDR: Invalid value: %q: IPv6 service CIDR prefix must be <= 108", spec.Network.ServiceCIDR))
	}
	if !sameFamily(spec.Network.PodCIDR, spec.Network.ServiceCIDR) {
		found = append(found, errors.New("spec.network.podCIDR: podCIDR and serviceCIDR must be both IPv4 or IPv6"))
	}
	for path, text := range map[string]string{
		"spec.api.address":              spec.API.Address,
		"spec.storage.etcd.peerAddress": spec.Storage.Etcd.PeerAddress,
	} {
		if _, err := netip.ParseAddr(text); err != nil {
			found = append(found, fmt.Errorf("%s: %w", path, err))
		}
	}
	switch spec.Network.Provider {
	case "kuberouter", "calico", "custom":
	default:
		found = append(found, fmt.Errorf("spec.network.provider: unsupported network provider: %s", spec.Network.Provider))
	}
	if spec.Storage.Type != "etcd" && spec.Storage.Type != "kine" {
		found = append(found, fmt.Errorf("spec.storage.type: unsupported storage type: %s", spec.Storage.Type))
	}
	if enabled(spec.Network.NodeLocalLoadBalancing) && spec.API.ExternalAddress != "" {
		found = append(found, errors.New("spec.network.nodeLocalLoadBalancing: cannot be used together with spec.api.externalAddress"))
	}
	if _, _, err := config.keepalived(); err != nil {
		found = append(found, err)
	}
	return errors.Join(found...)
}

// ipv6Only tells whether services have IPv6 alone, as k0s does.
func (config clusterConfig) ipv6Only() bool {
	services, err := netip.ParsePrefix(config.Spec.Network.ServiceCIDR)
	return err == nil && services.Addr().Is6()
}

// sameFamily is about two ranges; what is none is told apart.
func sameFamily(one, other string) bool {
	first, err := netip.ParsePrefix(one)
	second, otherErr := netip.ParsePrefix(other)
	return err != nil || otherErr != nil || first.Addr().Is6() == second.Addr().Is6()
}

func (config clusterConfig) virtualServers() bool {
	spec, asked, _ := config.keepalived()
	return asked && len(spec.VirtualServers) > 0
}

// leftOut names what this configuration asks of k0s and the stand-in does not do.
func (config clusterConfig) leftOut() []string {
	network := config.Spec.Network
	wanted := map[string]bool{
		"spec.network.provider " + network.Provider:                        network.Provider != "custom",
		"kube-proxy (bring your own)":                                      !network.KubeProxy.Disabled,
		"spec.network.controlPlaneLoadBalancing.keepalived.virtualServers": config.virtualServers(),
		"spec.network.dualStack":                                           enabled(network.DualStack),
		"spec.storage.type " + config.Spec.Storage.Type:                    config.Spec.Storage.Type != "etcd",
		"spec.extensions":                                                  len(config.Spec.Extensions) > 0,
		"spec.featureGates":                                                len(config.Spec.FeatureGates) > 0,
	}
	var found []string
	for _, what := range sortedKeys(wanted) {
		if wanted[what] {
			found = append(found, what)
		}
	}
	return found
}

func enabled(section map[string]any) bool {
	on, _ := section["enabled"].(bool)
	return on
}

// publicHost is the name or address by which other machines know the control plane.
func (config clusterConfig) publicHost() string {
	if config.Spec.API.ExternalAddress != "" {
		return config.Spec.API.ExternalAddress
	}
	return config.Spec.API.Address
}

func (config clusterConfig) apiURL() string {
	return "https://" + net.JoinHostPort(config.publicHost(), strconv.Itoa(config.Spec.API.Port))
}

// joinURL is where further controllers join.
func (config clusterConfig) joinURL() string {
	return "https://" + net.JoinHostPort(config.publicHost(), strconv.Itoa(config.Spec.API.K0sAPIPort))
}

// serviceAddress returns the n-th address of the service network: 1 is the API, 10 the DNS.
func (config clusterConfig) serviceAddress(n int) string {
	address := netip.MustParsePrefix(config.Spec.Network.ServiceCIDR).Masked().Addr()
	for range n {
		address = address.Next()
	}
	return address.String()
}

func validateConfig(arguments []string) error {
	set := newFlags("k0s config validate")
	file, gates := configFlag(set), gatesFlag(set)
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	if !flagGiven(set, "config") {
		return errors.New(`required flag(s) "config" not set`)
	}
	_, err := loadGated(*file, *gates)
	return err
}

func configFlag(set *flag.FlagSet) *string {
	return set.String("config", defaultConfigFile, "config file")
}
