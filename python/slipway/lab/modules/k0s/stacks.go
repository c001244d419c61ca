package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// resourcePaths tells where the API server keeps each kind that the stacks use; %s is the namespace.
var resourcePaths = map[string]string{
	"ClusterRole":        "/apis/rbac.authorization.k8s.io/v1/clusterroles/",
	"ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/",
	"ConfigMap":          "/api/v1/namespaces/%s/configmaps/",
	"Deployment":         "/apis/apps/v1/namespaces/%s/deployments/",
	"Role":               "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles/",
	"RoleBinding":        "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings/",
	"Service":            "/api/v1/namespaces/%s/services/",
	"ServiceAccount":     "/api/v1/namespaces/%s/serviceaccounts/",
}

type stackValues struct {
	ClusterDomain string
	DNSAddress    string
	Single        bool
	WorkerConfigs []string
	// Minor keeps the rules of workers that are behind their controllers.
	Minor string
}

// applyStacks applies what k0s itself puts into a cluster. The workers' configuration comes last: a worker waits for it,
// and whoever can read it also finds the rules that let it join.
func (c *controller) applyStacks(ctx context.Context) error {
	api, err := c.adminClient()
	if err != nil {
		return err
	}
	configs, err := c.workerConfigs([]string{c.ownServer()})
	if err != nil {
		return err
	}
	values := stackValues{c.config.Spec.Network.ClusterDomain, c.config.serviceAddress(10), c.single, names(configs), minorVersion()}
	objects, err := renderStacks(values, c.disabled)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	for _, each := range append(objects, configs...) {
		// The namespace kube-system appears some moments after the API server is ready.
		err := until(bounded, describe(each), 100*time.Millisecond, func() error { return applyObject(bounded, api, each) })
		if err != nil {
			return err
		}
	}
	say("applied %d objects", len(objects)+len(configs))
	return nil
}

func renderStacks(values stackValues, disabled []string) ([]object, error) {
	all, err := template.ParseFS(manifests, "manifests/*.yaml")
	if err != nil {
		return nil, err
	}
	var found []object
	for _, name := range []string{"coredns.yaml", "bootstrap-rbac.yaml"} {
		if slices.Contains(disabled, strings.TrimSuffix(name, ".yaml")) {
			continue
		}
		var rendered bytes.Buffer
		if err := all.ExecuteTemplate(&rendered, name, values); err != nil {
			return nil, err
		}
		objects, err := decodeObjects(&rendered)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		found = append(found, objects...)
	}
	return found, nil
}

func decodeObjects(from io.Reader) ([]object, error) {
	decoder := yaml.NewDecoder(from)
	var found []object
	for {
		var each object
		err := decoder.Decode(&each)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		found = append(found, each)
	}
}

func metadata(of object) (name, namespace string) {
	fields, _ := of["metadata"].(object)
	name, _ = fields["name"].(string)
	namespace, _ = fields["namespace"].(string)
	return name, namespace
}

func names(of []object) []string {
	var found []string
	for _, each := range of {
		name, _ := metadata(each)
		found = append(found, name)
	}
	return found
}

func describe(what object) string {
	name, _ := metadata(what)
	return fmt.Sprintf("%s %s", what["kind"], name)
}

func resourcePath(what object) (string, error) {
	kind, _ := what["kind"].(string)
	path, known := resourcePaths[kind]
	if !known {
		return "", fmt.Errorf("no path for kind %q", kind)
	}
	name, namespace := metadata(what)
	if namespace != "" {
		path = fmt.Sprintf(path, namespace)
	}
	return path + name, nil
}

func applyObject(ctx context.Context, api *client, what object) error {
	path, err := resourcePath(what)
	if err != nil {
		return err
	}
	body, err := yaml.Marshal(what)
	if err != nil {
		return err
	}
	return api.apply(ctx, path, body)
}

// workerConfigs are the ConfigMaps that workers read, one a profile. A profile named default overrides the default one.
func (c *controller) workerConfigs(servers []string) ([]object, error) {
	profiles := map[string]map[string]any{"default": nil}
	for _, profile := range c.config.Spec.WorkerProfiles {
		profiles[profile.Name] = profile.Values
	}
	var found []object
	for _, name := range sortedKeys(profiles) {
		settings := c.kubeletDefaults()
		maps.Copy(settings, profiles[name])
		content, err := yaml.Marshal(settings)
		if err != nil {
			return nil, err
		}
		found = append(found, object{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": object{"name": workerConfigName(name), "namespace": "kube-system"},
			"data": object{
				"kubeletConfiguration":   string(content),
				"apiServerAddresses":     jsonText(servers),
				"nodeLocalLoadBalancing": jsonText(c.config.Spec.Network.NodeLocalLoadBalancing),
			},
		})
	}
	return found, nil
}

func jsonText(value any) string {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err) // what came from YAML or is a list of strings always marshals
	}
	return string(content)
}

func (c *controller) ownServer() string {
	return net.JoinHostPort(c.config.Spec.API.Address, strconv.Itoa(c.config.Spec.API.Port))
}

// followServers tells workers and the balancer of the virtual address which API servers there are: those that keep
// themselves among the endpoints of the Service kubernetes.
func (c *controller) followServers(ctx context.Context) {
	var known []string
	for {
		found, err := c.servers(ctx)
		if err == nil && len(found) > 0 && !slices.Equal(found, known) && c.publish(ctx, found) == nil {
			known = found
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(profileEvery):
		}
	}
}

func (c *controller) publish(ctx context.Context, servers []string) error {
	if c.onServers != nil {
		c.onServers(servers)
	}
	api, err := c.adminClient()
	if err != nil {
		return err
	}
	configs, err := c.workerConfigs(servers)
	if err != nil {
		return err
	}
	var failures []error
	for _, each := range configs {
		failures = append(failures, applyObject(ctx, api, each))
	}
	return errors.Join(failures...)
}

// servers are the addresses of all API servers, sorted.
func (c *controller) servers(ctx context.Context) ([]string, error) {
	api, err := c.adminClient()
	if err != nil {
		return nil, err
	}
	answer, err := api.get(ctx, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
	if err != nil {
		return nil, err
	}
	var found []string
	endpoints, _ := answer["endpoints"].([]any)
	for _, each := range endpoints {
		endpoint, _ := each.(object)
		addresses, _ := endpoint["addresses"].([]any)
		for _, address := range addresses {
			found = append(found, net.JoinHostPort(fmt.Sprint(address), strconv.Itoa(c.config.Spec.API.Port)))
		}
	}
	slices.Sort(found)
	return found, nil
}

// kubeletDefaults is the part of the kubelet's configuration that is the same on every node.
func (c *controller) kubeletDefaults() map[string]any {
	return map[string]any{
		"apiVersion":         "kubelet.config.k8s.io/v1beta1",
		"kind":               "KubeletConfiguration",
		"clusterDNS":         []string{c.config.serviceAddress(10)},
		"clusterDomain":      c.config.Spec.Network.ClusterDomain,
		"eventRecordQPS":     0,
		"failSwapOn":         false,
		"rotateCertificates": true,
	}
}
