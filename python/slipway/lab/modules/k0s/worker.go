package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	flag "github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// bootstrapKubeconfig is the stand-in's own: k0s itself asks for the kubelet's first certificate.
const bootstrapKubeconfig = runDir + "/slipway-lab-bootstrap.conf"

// kubeletOptions are the flags that reach the kubelet of this node.
type kubeletOptions struct {
	labels  string
	taints  string
	profile string
	extra   string
}

func kubeletFlags(set *flag.FlagSet) *kubeletOptions {
	var options kubeletOptions
	set.StringVar(&options.labels, "labels", "", "labels of the node at its registration, k=v,...")
	set.StringVar(&options.taints, "taints", "", "taints of the node at its registration, k=v:effect,...")
	set.StringVar(&options.profile, "profile", "default", "worker profile")
	set.StringVar(&options.extra, "kubelet-extra-args", "", "further arguments of the kubelet")
	return &options
}

// forController adds what k0s adds on a controller that runs workloads.
func (o *kubeletOptions) forController(noTaints bool) {
	o.labels = strings.Join(append(splitList(o.labels), "node.k0sproject.io/role=control-plane"), ",")
	if !noTaints {
		o.taints = strings.Join(append(splitList(o.taints), "node-role.kubernetes.io/control-plane:NoSchedule"), ",")
	}
}

func workerConfigName(profile string) string {
	return "worker-config-" + profile + "-" + minorVersion()
}

// worker is containerd and the kubelet of this machine.
type worker struct {
	data     dataDir
	hostname string
	kubelet  *kubeletOptions
	running  *components
	// joined, where it is set, is called once the token has served.
	joined func()
	// beside: a controller runs here, too, and its API server is the one of this kubelet.
	beside bool
	// local is where the balancer of this node listens; empty without one.
	local string
}

func runWorker(arguments []string) error {
	set := newFlags("k0s worker")
	tokenFile := set.String("token-file", "", "file with the join token")
	kubelet := kubeletFlags(set)
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	w := &worker{data: dataDir(defaultDataDir), hostname: hostname, kubelet: kubelet, running: &components{}}
	if err := preFlight(probeAll(w.data, false, true)); err != nil {
		return err
	}
	token, err := w.joinToken(*tokenFile)
	if err != nil {
		return err
	}
	return w.run(token)
}

// joinToken reads the token of a node that has to join; one that has joined does not look at the file.
func (w *worker) joinToken(file string) (*kubeconfig, error) {
	if w.data.joined() {
		return nil, nil
	}
	if file == "" {
		return nil, errors.New("this node has not joined yet: --token-file is required")
	}
	token, err := readToken(file, workerTokenUser)
	return &token, err
}

func (w *worker) run(token *kubeconfig) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	defer func() { w.running.stop() }()
	report := newStatus("worker", w.data)
	report.Workloads = true
	if err := errors.Join(makeFolder(string(w.data), 0o755), makeFolder(runDir, 0o755)); err != nil {
		return err
	}
	if err := serveStatus(report); err != nil {
		return err
	}
	if err := w.start(ctx, token); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	<-ctx.Done()
	return nil
}

// start brings up containerd at once and the kubelet as soon as the API server has given it its configuration: a kubelet
// that starts earlier backs off, up to half a minute between its tries.
func (w *worker) start(ctx context.Context, token *kubeconfig) error {
	if err := w.initImages(); err != nil {
		return err
	}
	_ = os.Remove(nllbKubeconfig) // of a start with other settings
	if err := w.startContainerd(ctx); err != nil {
		return err
	}
	joined := make(chan struct{})
	go w.importImages(ctx, joined)
	go w.awaitJoin(ctx, joined)
	credentials, err := w.credentials(token)
	if err != nil {
		return err
	}
	balancing, err := w.configureKubelet(ctx, credentials)
	if err != nil {
		return err
	}
	if err := w.balance(ctx, balancing, credentials); err != nil {
		return err
	}
	if w.local == "" || w.beside {
		return w.startKubelet(w.data.kubeletConfig())
	}
	return w.startBalancedKubelet(ctx, joined)
}

func (w *worker) balance(ctx context.Context, found profile, as kubeconfig) error {
	if !enabled(found.balancing) {
		return nil
	}
	return w.startBalancer(ctx, found, as)
}

// startBalancedKubelet lets the kubelet join at the server of its token, and gives it the local balancer from then on.
func (w *worker) startBalancedKubelet(ctx context.Context, joined <-chan struct{}) error {
	if !w.data.joined() || !exists(w.ownCertificate()) {
		if err := w.startKubelet(w.data.kubeletConfig()); err != nil {
			return err
		}
		select {
		case <-joined:
			w.running.end("kubelet")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	own, err := readKubeconfig(w.data.kubeletConfig())
	if err != nil {
		return err
	}
	if err := writeFile(nllbKubeconfig, own.at(w.local).bytes(), 0o600); err != nil {
		return err
	}
	return w.startKubelet(nllbKubeconfig)
}

// initImages sets the mode of the folder of image archives, as k0s does; it ends where it may not.
func (w *worker) initImages() error { return makeFolder(w.data.images(), 0o755) }

// importImages imports first what the node needs to become Ready, and the rest once it has joined: on a small machine the
// two would only slow each other down.
func (w *worker) importImages(ctx context.Context, joined <-chan struct{}) {
	first, rest := imageArchives(w.data)
	importAll(ctx, w.data, first)
	select {
	case <-joined:
		importAll(ctx, w.data, rest)
	case <-ctx.Done():
	}
}

// awaitJoin waits for the kubelet's own certificate, removes the token that has served, and closes the channel.
func (w *worker) awaitJoin(ctx context.Context, joined chan<- struct{}) {
	err := until(ctx, "the kubelet's certificate", 500*time.Millisecond, func() error {
		_, err := os.Stat(w.ownCertificate())
		return err
	})
	if err != nil {
		return // k0s ends
	}
	_ = os.Remove(bootstrapKubeconfig)
	if w.joined != nil {
		w.joined()
	}
	close(joined)
}

func (w *worker) ownCertificate() string {
	return w.data.path("kubelet", "pki", "kubelet-client-current.pem")
}

// credentials returns the token on the way into the cluster, and the kubelet's own kubeconfig from then on.
func (w *worker) credentials(token *kubeconfig) (kubeconfig, error) {
	if token == nil {
		return readKubeconfig(w.data.kubeletConfig())
	}
	return *token, writeFile(bootstrapKubeconfig, token.bytes(), 0o600)
}

// kubeletClient reaches the API server as the kubelet does: by the balancer of this node where it has one.
func kubeletClient(data dataDir) (*client, error) {
	path := data.kubeletConfig()
	if exists(nllbKubeconfig) {
		path = nllbKubeconfig
	}
	own, err := readKubeconfig(path)
	if err != nil {
		return nil, err
	}
	return own.client()
}

// configureKubelet waits, for as long as it takes, until an API server has this worker's profile, and returns that.
func (w *worker) configureKubelet(ctx context.Context, as kubeconfig) (profile, error) {
	if err := writeKubeletCA(as, kubeletCAFile); err != nil {
		return profile{}, err
	}
	found, err := w.loadProfile(ctx, as)
	if err != nil {
		return found, err
	}
	if err := settleKernel(); err != nil {
		return found, err
	}
	cgroup, err := nodeCgroup(w.hostname)
	if err != nil {
		return found, err
	}
	content, err := w.kubeletConfiguration(found.kubelet, cgroup)
	if err != nil {
		return found, err
	}
	return found, writeFile(kubeletConfigFile, content, 0o600)
}

// loadProfile asks the server of the kubeconfig and those that this worker has seen before, in turn.
func (w *worker) loadProfile(ctx context.Context, as kubeconfig) (profile, error) {
	servers := []string{as.server()}
	for _, each := range remembered(w.data) {
		servers = append(servers, "https://"+each)
	}
	var found profile
	turn := -1
	err := until(ctx, "worker profile "+w.kubelet.profile, 250*time.Millisecond, func() error {
		turn = (turn + 1) % len(servers)
		api, err := as.at(servers[turn]).client()
		if err != nil {
			return err
		}
		api.http.Timeout = 3 * time.Second
		data, err := w.askProfile(ctx, api)
		if err != nil {
			return err
		}
		if found, err = readProfile(data); err != nil {
			return err
		}
		return remember(w.data, w.kubelet.profile, data)
	})
	return found, err
}

const (
	kubeletConfigFile = runDir + "/kubelet/config.yaml"
	kubeletCAFile     = runDir + "/kubelet/ca.crt"
)

// writeKubeletCA writes the authority of the kubelet's clients, which a worker has from its kubeconfig alone.
func writeKubeletCA(as kubeconfig, path string) error {
	ca, err := as.ca()
	if err != nil {
		return err
	}
	if len(ca) == 0 {
		return errors.New("failed to write kubelet CA file: the kubelet's kubeconfig has no certificate-authority-data")
	}
	return writeFile(path, ca, 0o644)
}

// kubeletConfiguration overlays what the cluster says by what only this machine knows, and by what a kubelet needs inside
// a container on a machine with cgroup v1.
func (w *worker) kubeletConfiguration(shared, cgroup string) ([]byte, error) {
	settings := map[string]any{}
	if err := yaml.Unmarshal([]byte(shared), &settings); err != nil {
		return nil, fmt.Errorf("worker profile %s: %w", w.kubelet.profile, err)
	}
	own := map[string]any{
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": kubeletCAFile},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"cgroupDriver":             "cgroupfs",
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"enforceNodeAllocatable":   []string{},
		"evictionHard":             map[string]string{"memory.available": "50Mi", "nodefs.available": "1%"},
		"failCgroupV1":             false,
		"featureGates":             map[string]bool{"KubeletInUserNamespace": true},
		// An image that the lab made cannot be pulled again: never collect it.
		"imageGCHighThresholdPercent": 100,
		"volumePluginDir":             runDir + "/slipway-lab-volume-plugins",
	}
	if cgroup != "" {
		own["cgroupRoot"] = cgroup
	}
	for key, value := range own {
		settings[key] = value
	}
	return yaml.Marshal(settings)
}

func (w *worker) startKubelet(kubeconfig string) error {
	arguments := flags{
		"bootstrap-kubeconfig": bootstrapKubeconfig,
		"cert-dir":             w.data.path("kubelet", "pki"),
		"config":               kubeletConfigFile,
		"hostname-override":    w.hostname,
		"kubeconfig":           kubeconfig,
		"root-dir":             w.data.path("kubelet"),
	}
	if w.kubelet.labels != "" {
		arguments["node-labels"] = w.kubelet.labels
	}
	if w.kubelet.taints != "" {
		arguments["register-with-taints"] = w.kubelet.taints
	}
	command := append([]string{"kubelet"}, arguments.arguments()...)
	return w.running.start("kubelet", append(command, strings.Fields(w.kubelet.extra)...)...)
}
