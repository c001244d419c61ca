package main

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"go.yaml.in/yaml/v3"
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

type clusterFile struct {
	Resources []struct {
		Name       string `yaml:"name"`
		Assignment struct {
			Endpoints []struct {
				Servers []struct {
					Endpoint struct {
						Address address `yaml:"address"`
					} `yaml:"endpoint"`
				} `yaml:"lb_endpoints"`
			} `yaml:"endpoints"`
		} `yaml:"load_assignment"`
	} `yaml:"resources"`
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

// readClusters returns the servers of each cluster.
func readClusters(path string) (map[string][]string, error) {
	var file clusterFile
	if err := read(path, &file); err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, cluster := range file.Resources {
		found[cluster.Name] = []string{}
		for _, group := range cluster.Assignment.Endpoints {
			for _, server := range group.Servers {
				found[cluster.Name] = append(found[cluster.Name], server.Endpoint.Address.String())
			}
		}
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
