package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
)

// statusReport is what `k0s status -o json` prints and the status socket answers, with k0s's own names. StandIn is the
// one key that k0s does not have.
type statusReport struct {
	Version                     string
	StandIn                     string
	Pid                         int
	PPid                        int
	Role                        string
	SysInit                     string
	StubFile                    string
	Output                      string
	Workloads                   bool
	SingleNode                  bool
	Args                        []string
	WorkerToAPIConnectionStatus connectionStatus
	ClusterConfig               *clusterConfig // none on a worker, which has no k0s.yaml
	K0sVars                     statusVars
}

type connectionStatus struct {
	Message string
	Success bool
}

type statusVars struct {
	AdminKubeConfigPath   string
	BinDir                string
	CertRootDir           string
	DataDir               string
	EtcdCertDir           string
	EtcdDataDir           string
	KubeletAuthConfigPath string
	KubeletRootDir        string
	OCIBundleDir          string
	RunDir                string
	StartupConfigPath     string
	StatusSocketPath      string
}

func newStatus(role string, data dataDir) statusReport {
	return statusReport{
		Version: k0sVersion, StandIn: standIn, Pid: os.Getpid(), PPid: os.Getppid(), Role: role, Args: os.Args,
		K0sVars: statusVars{
			AdminKubeConfigPath: data.adminKubeconfig(), BinDir: data.path("bin"), CertRootDir: data.path("pki"),
			DataDir: string(data), EtcdCertDir: data.pki("etcd"), EtcdDataDir: data.etcdData(),
			KubeletAuthConfigPath: data.kubeletConfig(), KubeletRootDir: data.path("kubelet"), OCIBundleDir: data.images(),
			RunDir: runDir, StartupConfigPath: defaultConfigFile, StatusSocketPath: statusSocket,
		},
	}
}

func (s statusReport) data() dataDir { return dataDir(s.K0sVars.DataDir) }

// MarshalJSON gives the configuration the key names of k0s.yaml, in JSON as in YAML.
func (config clusterConfig) MarshalJSON() ([]byte, error) {
	type plain clusterConfig
	content, err := yaml.Marshal(plain(config))
	if err != nil {
		return nil, err
	}
	var open map[string]any
	if err := yaml.Unmarshal(content, &open); err != nil {
		return nil, err
	}
	return json.Marshal(open)
}

// UnmarshalJSON reads what MarshalJSON wrote: JSON is YAML.
func (config *clusterConfig) UnmarshalJSON(content []byte) error {
	type plain clusterConfig
	return yaml.Unmarshal(content, (*plain)(config))
}

// serveStatus answers on the status socket until the program ends.
func serveStatus(report statusReport) error {
	_ = os.Remove(statusSocket) // left by a killed k0s; the lock says that no other one runs
	listener, err := net.Listen("unix", statusSocket)
	if err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /status", func(answer http.ResponseWriter, request *http.Request) {
		current := report
		current.WorkerToAPIConnectionStatus = report.connection(request.Context())
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(current)
	})
	go func() { say("status socket: %v", http.Serve(listener, routes)) }()
	return nil
}

// connection tells whether the kubelet's own credentials reach the API server. A controller without workloads has none.
func (s statusReport) connection(ctx context.Context) connectionStatus {
	if !s.Workloads {
		return connectionStatus{}
	}
	api, err := kubeletClient(s.data())
	if err == nil {
		_, err = api.get(ctx, "/version")
	}
	if err != nil {
		return connectionStatus{Message: err.Error()}
	}
	return connectionStatus{Success: true}
}

func fetchStatus() (statusReport, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", statusSocket)
	}}
	var report statusReport
	response, err := (&http.Client{Transport: transport, Timeout: 15 * time.Second}).Get("http://localhost/status")
	if err != nil {
		return report, fmt.Errorf("status: can't get \"status\" via %q: %w", statusSocket, err)
	}
	defer response.Body.Close()
	return report, json.NewDecoder(response.Body).Decode(&report)
}

func runningController() (statusReport, error) {
	report, err := fetchStatus()
	if err == nil && report.Role != "controller" {
		err = fmt.Errorf("this command needs a controller, and k0s runs here as %s", report.Role)
	}
	return report, err
}

func printStatus(arguments []string) error {
	set := newFlags("k0s status")
	format := set.StringP("out", "o", "", "json, or empty for text")
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	if *format != "" && *format != "json" {
		return fmt.Errorf("output format %q: the %s has json alone", *format, standIn)
	}
	report, err := fetchStatus()
	if err != nil {
		return err
	}
	if *format == "json" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "   ")
		return encoder.Encode(report)
	}
	fmt.Printf("Version: %s (%s)\nProcess ID: %d\nRole: %s\nWorkloads: %t\nSingleNode: %t\n",
		report.Version, report.StandIn, report.Pid, report.Role, report.Workloads, report.SingleNode)
	return nil
}
