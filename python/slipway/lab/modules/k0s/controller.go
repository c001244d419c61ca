package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	flag "github.com/spf13/pflag"
)

const (
	startDeadline = 2 * time.Minute
	adminGroup    = "system:masters"
)

// controller is one control plane at work.
type controller struct {
	data     dataDir
	config   clusterConfig
	hostname string
	single   bool
	disabled []string
	running  components
	// join, where it is set, is the way into a cluster of others.
	join *joining
	// onServers, where it is set, hears which API servers the cluster has.
	onServers func([]string)
	atEnd     []func()
}

func runController(arguments []string) error {
	set := newFlags("k0s controller")
	configFile, gates := configFlag(set), gatesFlag(set)
	tokenFile := set.String("token-file", "", "file with the join token")
	enableWorker := set.Bool("enable-worker", false, "run workloads here, too")
	noTaints := set.Bool("no-taints", false, "without the taint of a controller that runs workloads")
	single := set.Bool("single", false, "the whole cluster is this one node")
	disabled := set.String("disable-components", "", "components that shall not run")
	kubelet := kubeletFlags(set)
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	config, err := loadGated(*configFile, *gates)
	if err != nil {
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	c := &controller{
		data: dataDir(defaultDataDir), config: config, hostname: hostname, single: *single, disabled: splitList(*disabled),
	}
	workloads := *enableWorker || *single
	if err := preFlight(probeAll(c.data, true, workloads)); err != nil {
		return err
	}
	if err := c.mayStart(*tokenFile, flagGiven(set, "token-file")); err != nil {
		return err
	}
	if workloads {
		kubelet.forController(*noTaints || *single)
		return c.run(kubelet)
	}
	return c.run(nil)
}

func flagGiven(set *flag.FlagSet, name string) (given bool) {
	set.Visit(func(each *flag.Flag) { given = given || each.Name == name })
	return given
}

// mayStart decides as k0s does. With data of an earlier run a controller goes on, whatever its token file holds. Without
// data it joins if it is given a token file, and founds a new cluster if it is not. That is why slipway gives every
// controller a token file: one that has lost its data then fails here, and never founds a second cluster.
func (c *controller) mayStart(tokenFile string, given bool) error {
	if c.data.founded() || !given {
		return nil
	}
	token, err := readToken(tokenFile, controllerTokenUser)
	if err != nil {
		return err
	}
	join, err := newJoining(token)
	c.join = &join
	return err
}

// run brings everything up, waits for the signal to end, and takes it down in the opposite order.
func (c *controller) run(kubelet *kubeletOptions) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	defer func() {
		c.running.stop()
		for _, do := range c.atEnd {
			do()
		}
	}()
	if err := c.start(ctx, kubelet); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	<-ctx.Done()
	return nil
}

func (c *controller) start(ctx context.Context, kubelet *kubeletOptions) error {
	for _, what := range c.config.leftOut() {
		say("left out by the %s: %s", standIn, what)
	}
	report := newStatus("controller", c.data)
	report.ClusterConfig, report.SingleNode, report.Workloads = &c.config, c.single, kubelet != nil
	steps := []func() error{
		func() error { return c.fetchAuthorities(ctx) },
		c.makePKI,
		func() error { return serveStatus(report) },
		func() error { return c.startEtcd(ctx) },
		func() error { return c.startAPIServer(ctx) },
		c.startJoinAPI,
		c.startControllerManager,
		c.startScheduler,
		func() error { return c.applyStacks(ctx) },
		func() error { return c.startKeepalived(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	go c.followServers(ctx)
	if kubelet == nil {
		return nil
	}
	return c.startWorkloads(ctx, kubelet)
}

// fetchAuthorities has those of the cluster that is joined here before this controller would make its own.
func (c *controller) fetchAuthorities(ctx context.Context) error {
	if c.join == nil {
		return nil
	}
	return c.join.fetchAuthorities(ctx, c.data)
}

// startWorkloads joins this machine as a worker of its own cluster, with a token that lives for as long as that takes.
func (c *controller) startWorkloads(ctx context.Context, kubelet *kubeletOptions) error {
	w := &worker{data: c.data, hostname: c.hostname, kubelet: kubelet, running: &c.running, beside: true}
	if c.data.joined() {
		return w.start(ctx, nil)
	}
	api, err := c.adminClient()
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.data.pki("ca.crt"))
	if err != nil {
		return err
	}
	token, err := newToken(api, c.config, ca, "worker", 10*time.Minute)
	if err != nil {
		return err
	}
	id, _, _ := strings.Cut(token.token(), ".")
	w.joined = func() {
		if err := api.delete(ctx, tokenSecrets+"/bootstrap-token-"+id); err != nil {
			say("the token of this node itself stays until it runs out: %v", err)
		}
	}
	return w.start(ctx, &token)
}

// makePKI writes k0s's files below pki/. The authorities and the service accounts' key stay; all else is made anew.
func (c *controller) makePKI() error {
	if err := c.makeFolders(runDir); err != nil {
		return err
	}
	ca, err := loadAuthority(c.data.pki("ca"), "kubernetes-ca")
	if err != nil {
		return err
	}
	if err := ensureKeyPair(c.data.pki("sa")); err != nil {
		return err
	}
	client, server := x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	leaves := []struct {
		name, commonName, organisation string
		names                          []string
		usage                          x509.ExtKeyUsage
	}{
		{"server", "kubernetes", "kubernetes", c.serverNames(), server},
		{"k0s-api", "k0s-api", "kubernetes", c.serverNames(), server},
		{"admin", "kubernetes-admin", adminGroup, nil, client},
		{"apiserver-kubelet-client", "apiserver-kubelet-client", adminGroup, nil, client},
		{"ccm", "system:kube-controller-manager", "system:kube-controller-manager", nil, client},
		{"scheduler", "system:kube-scheduler", "system:kube-scheduler", nil, client},
	}
	for _, leaf := range leaves {
		subject := pkix.Name{CommonName: leaf.commonName, Organization: []string{leaf.organisation}}
		if err := ca.issue(c.data.pki(leaf.name), subject, leaf.names, leaf.usage); err != nil {
			return err
		}
	}
	return errors.Join(c.makeFrontProxyPKI(), c.writeKubeconfigs(ca.pem))
}

// makeFolders gives k0s's folders its modes (pkg/constant), also where they are there already.
func (c *controller) makeFolders(run string) error {
	return errors.Join(
		makeFolder(string(c.data), 0o755), makeFolder(run, 0o755),
		makeFolder(c.data.path("pki"), 0o751), makeFolder(c.data.pki("etcd"), 0o711), makeFolder(c.data.etcdData(), 0o700),
	)
}

// serverNames are all the names and addresses by which clients call this API server.
func (c *controller) serverNames() []string {
	spec := c.config.Spec
	names := []string{
		"localhost", "127.0.0.1", "::1", c.hostname, spec.API.Address, c.config.serviceAddress(1),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + spec.Network.ClusterDomain,
	}
	if spec.API.ExternalAddress != "" {
		names = append(names, spec.API.ExternalAddress)
	}
	if virtual, _, err := c.config.keepalived(); err == nil {
		names = append(names, virtual.virtualAddresses()...)
	}
	return append(append(names, spec.API.SANs...), localAddresses()...)
}

func (c *controller) makeFrontProxyPKI() error {
	ca, err := loadAuthority(c.data.pki("front-proxy-ca"), "kubernetes-front-proxy-ca")
	if err != nil {
		return err
	}
	subject := pkix.Name{CommonName: "front-proxy-client"}
	return ca.issue(c.data.pki("front-proxy-client"), subject, nil, x509.ExtKeyUsageClientAuth)
}

func (c *controller) writeKubeconfigs(ca []byte) error {
	local := fmt.Sprintf("https://localhost:%d", c.config.Spec.API.Port)
	for _, name := range []string{"admin", "ccm", "scheduler"} {
		content, err := certificateKubeconfig(local, ca, "user", c.data.pki(name))
		if err != nil {
			return err
		}
		if err := writeFile(c.data.pki(name+".conf"), content.named("local", "Default").bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *controller) adminClient() (*client, error) {
	admin, err := readKubeconfig(c.data.adminKubeconfig())
	if err != nil {
		return nil, err
	}
	return admin.client()
}

const egressSelection = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections: []
`

func (c *controller) startAPIServer(ctx context.Context) error {
	pki, spec := c.data.pki, c.config.Spec
	arguments := flags{
		"advertise-address":           spec.API.Address,
		"allow-privileged":            "true",
		"anonymous-auth":              "false",
		"api-audiences":               "https://kubernetes.default.svc",
		"authorization-mode":          "Node,RBAC",
		"client-ca-file":              pki("ca.crt"),
		"enable-admission-plugins":    "NodeRestriction",
		"enable-bootstrap-token-auth": "true",
		"etcd-cafile":                 pki("etcd/ca.crt"),
		"etcd-certfile":               pki("apiserver-etcd-client.crt"),
		"etcd-keyfile":                pki("apiserver-etcd-client.key"),
		"etcd-servers":                etcdClientURL,
		"kubelet-client-certificate":  pki("apiserver-kubelet-client.crt"),
		"kubelet-client-key":          pki("apiserver-kubelet-client.key"),
		// Logs and exec would look the node's name up otherwise.
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"profiling":                          "false",
		"proxy-client-cert-file":             pki("front-proxy-client.crt"),
		"proxy-client-key-file":              pki("front-proxy-client.key"),
		"requestheader-allowed-names":        "front-proxy-client",
		"requestheader-client-ca-file":       pki("front-proxy-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        strconv.Itoa(spec.API.Port),
		"service-account-issuer":             "https://kubernetes.default.svc",
		"service-account-jwks-uri":           "https://kubernetes.default.svc/openid/v1/jwks",
		"service-account-key-file":           pki("sa.pub"),
		"service-account-signing-key-file":   pki("sa.key"),
		"service-cluster-ip-range":           spec.Network.ServiceCIDR,
		"tls-cert-file":                      pki("server.crt"),
		"tls-private-key-file":               pki("server.key"),
	}
	if spec.API.OnlyBindToAddress {
		arguments["bind-address"] = spec.API.Address
	}
	// The lab has no konnectivity. k0s leaves this file for everybody to read, which whoever looks for open keys must know.
	if err := writeFile(c.data.path("konnectivity.conf"), []byte(egressSelection), 0o644); err != nil {
		return err
	}
	if err := c.startWith("kube-apiserver", arguments, spec.API.extraArgs); err != nil {
		return err
	}
	api, err := c.adminClient()
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	return until(bounded, "kube-apiserver", 100*time.Millisecond, func() error {
		_, err := api.get(bounded, "/readyz")
		return err
	})
}

func (c *controller) startControllerManager() error {
	pki, spec := c.data.pki, c.config.Spec
	each := "24"
	if c.config.ipv6Only() {
		each = "117"
	}
	return c.startWith("kube-controller-manager", flags{
		"allocate-node-cidrs":       "true",
		"authentication-kubeconfig": pki("ccm.conf"),
		"authorization-kubeconfig":  pki("ccm.conf"),
		"bind-address":              "127.0.0.1",
		"client-ca-file":            pki("ca.crt"),
		"cluster-cidr":              spec.Network.PodCIDR,
		"cluster-name":              "k0s",
		"cluster-signing-cert-file": pki("ca.crt"),
		"cluster-signing-key-file":  pki("ca.key"),
		"controllers":               "*,bootstrapsigner,tokencleaner",
		// It first makes some forty service accounts; at its own pace (20 a second) that alone takes six seconds.
		"kube-api-burst":                   "400",
		"kube-api-qps":                     "200",
		"kubeconfig":                       pki("ccm.conf"),
		"leader-elect":                     strconv.FormatBool(!c.single),
		"node-cidr-mask-size":              each,
		"profiling":                        "false",
		"requestheader-client-ca-file":     pki("front-proxy-ca.crt"),
		"root-ca-file":                     pki("ca.crt"),
		"service-account-private-key-file": pki("sa.key"),
		"service-cluster-ip-range":         spec.Network.ServiceCIDR,
		"use-service-account-credentials":  "true",
	}, spec.ControllerManager)
}

func (c *controller) startScheduler() error {
	pki := c.data.pki
	return c.startWith("kube-scheduler", flags{
		"authentication-kubeconfig": pki("scheduler.conf"),
		"authorization-kubeconfig":  pki("scheduler.conf"),
		"bind-address":              "127.0.0.1",
		"kubeconfig":                pki("scheduler.conf"),
		"leader-elect":              strconv.FormatBool(!c.single),
		"profiling":                 "false",
	}, c.config.Spec.Scheduler)
}

// startWith overlays k0s.yaml's extraArgs, and appends its rawArgs. A component that is disabled does not start.
func (c *controller) startWith(name string, own flags, extra extraArgs) error {
	if slices.Contains(c.disabled, name) {
		return nil
	}
	arguments := append(own.with(extra.ExtraArgs).arguments(), extra.RawArgs...)
	return c.running.start(name, append([]string{name}, arguments...)...)
}

// lock keeps a second k0s from this machine for as long as the first one lives.
func lock() (unlock func(), err error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(runDir+"/k0s.yaml.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: another k0s is running: %w", file.Name(), err)
	}
	return func() { file.Close() }, nil
}

func printAdminKubeconfig(arguments []string) error {
	if err := parseFlags(newFlags("k0s kubeconfig admin"), arguments); err != nil {
		return err
	}
	status, err := runningController()
	if err != nil {
		return err
	}
	admin, err := readKubeconfig(status.data().adminKubeconfig())
	if err != nil {
		return err
	}
	admin.Clusters[0].Cluster.Server = status.ClusterConfig.apiURL()
	_, err = os.Stdout.Write(admin.bytes())
	return err
}

func runKubectl(arguments []string) error {
	status, err := runningController()
	if err != nil {
		return err
	}
	path, err := program("kubectl")
	if err != nil {
		return err
	}
	environment := append(os.Environ(), "KUBECONFIG="+status.data().adminKubeconfig())
	return syscall.Exec(path, append([]string{"kubectl"}, arguments...), environment)
}
