package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"slipway.lab/k0s/balance"
)

// listener is where clients connect, and the cluster that they reach.
type listener struct {
	address string
	cluster string
}

type address struct {
	Socket struct {
		Address string `yaml:"address"`
		Port    int    `yaml:"port_value"`
	} `yaml:"socket_address"`
}

func (a address) String() string {
	return net.JoinHostPort(a.Socket.Address, strconv.Itoa(a.Socket.Port))
}

// bootstrap and clusterFile are those parts of Envoy's files that k0s fills in (k0s pkg/component/worker/nllb/envoy.go).
type bootstrap struct {
	Dynamic struct {
		CDS struct {
			Path string `yaml:"path"`
		} `yaml:"cds_config"`
	} `yaml:"dynamic_resources"`
	Static struct {
		Listeners []struct {
			Name    string  `yaml:"name"`
			Address address `yaml:"address"`
			Chains  []struct {
				Filters []struct {
					Config struct {
						Cluster string `yaml:"cluster"`
					} `yaml:"typed_config"`
				} `yaml:"filters"`
			} `yaml:"filter_chains"`
		} `yaml:"listeners"`
	} `yaml:"static_resources"`
}

// duration is one as Envoy's files have it: 0.25s.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	found, err := time.ParseDuration(string(text))
	*d = duration(found)
	return err
}

type clusterFile struct {
	Resources []struct {
		Name       string   `yaml:"name"`
		Dial       duration `yaml:"connect_timeout"`
		Assignment struct {
			Endpoints []struct {
				Servers []struct {
					Endpoint struct {
						Address address `yaml:"address"`
					} `yaml:"endpoint"`
				} `yaml:"lb_endpoints"`
			} `yaml:"endpoints"`
		} `yaml:"load_assignment"`
		Checks []struct {
			TCP      *struct{} `yaml:"tcp_health_check"`
			Timeout  duration  `yaml:"timeout"`
			Interval duration  `yaml:"interval"`
			Wins     int       `yaml:"healthy_threshold"`
			Failures int       `yaml:"unhealthy_threshold"`
		} `yaml:"health_checks"`
	} `yaml:"resources"`
}

// cluster is a set of servers and how they are treated.
type cluster struct {
	servers []string
	rules   balance.Rules
}

// readBootstrap returns the listeners and the path of the file of clusters.
func readBootstrap(path string) ([]listener, string, error) {
	var file bootstrap
	if err := read(path, &file); err != nil {
		return nil, "", err
	}
	var found []listener
	for _, each := range file.Static.Listeners {
		if len(each.Chains) != 1 || len(each.Chains[0].Filters) != 1 || each.Chains[0].Filters[0].Config.Cluster == "" {
			return nil, "", fmt.Errorf("%s: listener %q: one filter with one cluster is all that this stand-in can do", path, each.Name)
		}
		found = append(found, listener{each.Address.String(), each.Chains[0].Filters[0].Config.Cluster})
	}
	if len(found) == 0 || file.Dynamic.CDS.Path == "" {
		return nil, "", fmt.Errorf("%s: no listener, or no file of clusters", path)
	}
	return found, file.Dynamic.CDS.Path, nil
}

// readClusters returns the clusters by their names.
func readClusters(path string) (map[string]cluster, error) {
	var file clusterFile
	if err := read(path, &file); err != nil {
		return nil, err
	}
	found := map[string]cluster{}
	for _, each := range file.Resources {
		if len(each.Checks) != 1 || each.Checks[0].TCP == nil || each.Dial <= 0 {
			return nil, fmt.Errorf("%s: cluster %q: a connect_timeout and one tcp_health_check is all that this stand-in can do", path, each.Name)
		}
		check := each.Checks[0]
		rules := balance.Rules{
			Dial: time.Duration(each.Dial), Every: time.Duration(check.Interval), Timeout: time.Duration(check.Timeout),
			Failures: check.Failures, Wins: check.Wins, Believed: balance.Envoy, Check: balance.Connects,
		}
		servers := []string{}
		for _, group := range each.Assignment.Endpoints {
			for _, server := range group.Servers {
				servers = append(servers, server.Endpoint.Address.String())
			}
		}
		found[each.Name] = cluster{servers, rules}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no cluster in it", path)
	}
	return found, nil
}

func read(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
