package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"

	"slipway.lab/k0s/balance"
)

const (
	keepalivedConfig = runDir + "/keepalived.conf"
	vipProxyPort     = 6444
)

// vrrpInstance is one of spec.network.controlPlaneLoadBalancing.keepalived.vrrpInstances, with k0s's defaults.
type vrrpInstance struct {
	VirtualIPs            []string `yaml:"virtualIPs"`
	Interface             string   `yaml:"interface"`
	VirtualRouterID       int      `yaml:"virtualRouterID"`
	AdvertIntervalSeconds int      `yaml:"advertIntervalSeconds"`
	AuthPass              string   `yaml:"authPass"`
	UnicastSourceIP       string   `yaml:"unicastSourceIP"`
	UnicastPeers          []string `yaml:"unicastPeers"`
}

type keepalivedSpec struct {
	VRRPInstances          []vrrpInstance   `yaml:"vrrpInstances"`
	VirtualServers         []map[string]any `yaml:"virtualServers"`
	UserSpaceProxyBindPort int              `yaml:"userSpaceProxyBindPort"`
	DisableLoadBalancer    bool             `yaml:"disableLoadBalancer"`
	ConfigTemplateVRRP     string           `yaml:"configTemplateVRRP"`
}

// keepalivedTemplate: all controllers begin as BACKUP with the same priority, so that one that comes back takes nothing
// from the one that has the address.
const keepalivedTemplate = `
{{ range $i, $each := .VRRPInstances }}
vrrp_instance k0s-vip-{{ $i }} {
    state BACKUP
    interface {{ .Interface }}
    virtual_router_id {{ .VirtualRouterID }}
    priority 200
    advert_int {{ .AdvertIntervalSeconds }}
    authentication {
        auth_type PASS
        auth_pass {{ .AuthPass }}
    }
    virtual_ipaddress {
{{- range .VirtualIPs }}
        {{ . }}
{{- end }}
    }
{{- if .UnicastPeers }}
    unicast_src_ip {{ .UnicastSourceIP }}
    unicast_peer {
{{- range .UnicastPeers }}
        {{ . }}
{{- end }}
    }
{{- end }}
}
{{ end }}`

// keepalivedValues are what a template of the user's finds, by k0s's names.
type keepalivedValues struct {
	VRRPInstances    []vrrpInstance
	VirtualServers   []map[string]any
	RealServers      []string
	APIServerPort    int
	IPVSLoadBalancer bool
	K0sBin           string
	RunDir           string
}

// rendered is keepalived.conf, from the template that the spec names, if it names one.
func (spec keepalivedSpec) rendered(port int) ([]byte, error) {
	text := keepalivedTemplate
	if path := spec.ConfigTemplateVRRP; path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("failed to parse keepalived template: failed to read config template from %s: %w", path, err)
		}
		text = string(content)
	}
	parsed, err := template.New("keepalived-vrrp").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("failed to parse keepalived template: %w", err)
	}
	content := bytes.NewBufferString("# Written by k0s (" + standIn + ") at every start.\n")
	values := keepalivedValues{
		VRRPInstances: spec.VRRPInstances, VirtualServers: spec.VirtualServers, APIServerPort: port, K0sBin: os.Args[0], RunDir: runDir,
	}
	if err := parsed.Execute(content, values); err != nil {
		return nil, fmt.Errorf("failed to generate keepalived template: %w", err)
	}
	return content.Bytes(), nil
}

// keepalived reads the section of the virtual address; ok is false where none is asked for.
func (config clusterConfig) keepalived() (spec keepalivedSpec, ok bool, err error) {
	section := config.Spec.Network.ControlPlaneLoadBalancing
	if !enabled(section) {
		return spec, false, nil
	}
	content, err := yaml.Marshal(section["keepalived"])
	if err != nil {
		return spec, false, err
	}
	if err := yaml.Unmarshal(content, &spec); err != nil {
		return spec, false, fmt.Errorf("spec.network.controlPlaneLoadBalancing: %w", err)
	}
	if spec.UserSpaceProxyBindPort == 0 {
		spec.UserSpaceProxyBindPort = vipProxyPort
	}
	for i := range spec.VRRPInstances {
		spec.VRRPInstances[i].complete(config.Spec.API.Address)
	}
	return spec, true, spec.validate()
}

func (v *vrrpInstance) complete(address string) {
	if v.VirtualRouterID == 0 {
		v.VirtualRouterID = 51
	}
	if v.AdvertIntervalSeconds == 0 {
		v.AdvertIntervalSeconds = 1
	}
	if v.Interface == "" {
		v.Interface = interfaceOf(address)
	}
}

func (spec keepalivedSpec) validate() error {
	const where = "spec.network.controlPlaneLoadBalancing.keepalived.vrrpInstances"
	for i, each := range spec.VRRPInstances {
		if length := len(each.AuthPass); length == 0 || length > 8 {
			return fmt.Errorf("%s[%d]: AuthPass must be between 1 and 8 characters", where, i)
		}
		if len(each.VirtualIPs) == 0 {
			return fmt.Errorf("%s[%d]: VirtualIPs must be defined", where, i)
		}
		for _, address := range each.VirtualIPs {
			if _, err := netip.ParsePrefix(address); err != nil {
				return fmt.Errorf("%s[%d]: VirtualIPs: %w", where, i, err)
			}
		}
	}
	return nil
}

// virtualAddresses are the spec's, without the lengths of their prefixes.
func (spec keepalivedSpec) virtualAddresses() []string {
	var found []string
	for _, each := range spec.VRRPInstances {
		for _, address := range each.VirtualIPs {
			if prefix, err := netip.ParsePrefix(address); err == nil {
				found = append(found, prefix.Addr().String())
			}
		}
	}
	return found
}

func interfaceOf(address string) string {
	links, _ := net.Interfaces()
	for _, link := range links {
		addresses, _ := link.Addrs()
		for _, each := range addresses {
			if network, ok := each.(*net.IPNet); ok && network.IP.String() == address {
				return link.Name
			}
		}
	}
	return ""
}

// startKeepalived lets this controller take its turn with the virtual address. What comes in for it goes to a proxy
// that knows which API servers are well: the one with the address may not be.
func (c *controller) startKeepalived(ctx context.Context) error {
	spec, asked, err := c.config.keepalived()
	if err != nil || !asked {
		return err
	}
	content, err := spec.rendered(c.config.Spec.API.Port)
	if err != nil {
		return err
	}
	if err := writeFile(keepalivedConfig, content, 0o400); err != nil {
		return err
	}
	if !spec.DisableLoadBalancer {
		if err := c.startVIPProxy(ctx, spec); err != nil {
			return err
		}
	}
	command := []string{"keepalived", "--dont-fork", "--use-file", keepalivedConfig, "--no-syslog", "--log-console"}
	return c.running.start("keepalived", append(asUser("keepalived"), command...)...)
}

// asUser is what stands before a command that k0s runs as this user, if there is one, and then without any capability
// (k0s pkg/supervisor/detachattr_unix.go): keepalived cannot do its work so.
func asUser(name string) []string {
	found, err := user.Lookup(name)
	if err != nil {
		say("failed to lookup UID for %q: %v: running it as root", name, err)
		return nil
	}
	return []string{"setpriv", "--reuid=" + found.Uid, "--regid=" + found.Gid, "--clear-groups", "--"}
}

func (c *controller) startVIPProxy(ctx context.Context, spec keepalivedSpec) error {
	admin, err := readKubeconfig(c.data.adminKubeconfig())
	if err != nil {
		return err
	}
	rules := balance.Rules{
		Dial: 10 * time.Second, Every: time.Second, Timeout: time.Second, Failures: 1, Wins: 1, Check: admin.healthz,
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(spec.UserSpaceProxyBindPort)))
	if err != nil {
		return err
	}
	balancer := balance.New("balancer of the virtual address", rules, say)
	balancer.Set(ctx, []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(c.config.Spec.API.Port))})
	go balancer.Serve(ctx, listener)
	c.onServers = func(servers []string) { setServers(ctx, balancer, servers) }
	for _, address := range spec.virtualAddresses() {
		if err := redirect(address, c.config.Spec.API.Port, spec.UserSpaceProxyBindPort); err != nil {
			return err
		}
		c.atEnd = append(c.atEnd, func() {
			_ = iptables(address, redirectRule("-D", address, c.config.Spec.API.Port, spec.UserSpaceProxyBindPort))
		})
	}
	return nil
}

// healthz asks one API server, over a connection of its own.
func (k kubeconfig) healthz(ctx context.Context, address string) error {
	api, err := k.at("https://" + address).client()
	if err != nil {
		return err
	}
	defer api.http.CloseIdleConnections()
	_, err = api.get(ctx, "/healthz")
	return err
}

// redirect adds the rule unless a k0s that was killed has left it.
func redirect(address string, from, to int) error {
	if iptables(address, redirectRule("-C", address, from, to)) == nil {
		return nil
	}
	return iptables(address, redirectRule("-A", address, from, to))
}

func redirectRule(what, address string, from, to int) []string {
	return []string{
		"-t", "nat", what, "PREROUTING", "-p", "tcp", "-d", address, "--dport", strconv.Itoa(from),
		"-j", "REDIRECT", "--to-port", strconv.Itoa(to),
	}
}

func iptablesOf(address string) string {
	if parsed, err := netip.ParseAddr(address); err == nil && parsed.Is6() {
		return "ip6tables"
	}
	return "iptables"
}

// iptables runs the one for addresses like this.
func iptables(address string, arguments []string) error {
	path, err := program(iptablesOf(address))
	if err != nil {
		return err
	}
	if output, err := exec.Command(path, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("failed to execute iptables command: %w, output: %s", err, output)
	}
	return nil
}
