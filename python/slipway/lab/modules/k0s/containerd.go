package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"time"
)

const (
	containerdConfig = "/etc/k0s/containerd.toml"
	pauseImage       = "registry.k8s.io/pause:3.10"
)

// containerdSettings follow containerd 1.6, which Debian has. restrict_oom_score_adj: where the lab's machine lacks
// CAP_SYS_RESOURCE, runc dies with "can't get final child's PID from pipe" without it.
const containerdSettings = `# Written by k0s (%s) at every start; drop-ins belong into /etc/k0s/containerd.d/.
version = 2
root = %q
state = %q
imports = ["/etc/k0s/containerd.d/*.toml"]

[grpc]
  address = %q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`

func (w *worker) startContainerd(ctx context.Context) error {
	content := fmt.Sprintf(containerdSettings, standIn, w.data.path("containerd"), runDir+"/containerd",
		containerdSocket, pauseImage, cniBinDir, cniConfigDir)
	if err := writeFile(containerdConfig, []byte(content), 0o644); err != nil {
		return err
	}
	if err := w.running.start("containerd", "containerd", "--config="+containerdConfig, "--log-level=warn"); err != nil {
		return err
	}
	return waitForContainerd(ctx)
}

// waitForContainerd asks it for its version: the socket is there before the plugins are.
func waitForContainerd(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	return until(bounded, "containerd", 50*time.Millisecond, func() error {
		connection, err := net.Dial("unix", containerdSocket)
		if err != nil {
			return err
		}
		connection.Close()
		_, err = ctr(bounded, "version")
		return err
	})
}

// ctr runs containerd's client in the namespace of Kubernetes.
func ctr(ctx context.Context, arguments ...string) (string, error) {
	path, err := program("ctr")
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, path, append([]string{"--address", containerdSocket, "-n", "k8s.io"}, arguments...)...)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ctr %v: %w: %s", arguments, err, output)
	}
	return string(output), nil
}
