package main

import (
	"bytes"
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

// containerdSettings are what k0s writes from 1.36 on, version 3 of the configuration, and two settings of the lab's.
// restrict_oom_score_adj: where the lab's machine lacks CAP_SYS_RESOURCE, runc dies with "can't get final child's PID from
// pipe" without it.
const containerdSettings = `# Written by k0s (%s) at every start; drop-ins belong into /etc/k0s/containerd.d/.
version = 3
imports = [%q]

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %q

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true

  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%q]
    conf_dir = %q
`

func containerdContent() string {
	return fmt.Sprintf(containerdSettings, standIn, dropIns+"/*.toml", pauseImage, cniBinDir, cniConfigDir)
}

// containerdArguments are those of k0s (pkg/component/worker/containerd/component.go).
func (w *worker) containerdArguments() []string {
	return flags{
		"root":      w.data.path("containerd"),
		"state":     runDir + "/containerd",
		"address":   containerdSocket,
		"log-level": "warn",
		"config":    containerdConfig,
	}.arguments()
}

func (w *worker) startContainerd(ctx context.Context) error {
	if err := writeFile(containerdConfig, []byte(containerdContent()), 0o644); err != nil {
		return err
	}
	if err := w.running.start("containerd", append([]string{"containerd"}, w.containerdArguments()...)...); err != nil {
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

// ctr runs containerd's client in the namespace of Kubernetes, and returns its standard output alone: it warns on the
// other, of control groups of version 1 for one.
func ctr(ctx context.Context, arguments ...string) (string, error) {
	path, err := program("ctr")
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, path, append([]string{"--address", containerdSocket, "-n", "k8s.io"}, arguments...)...)
	var warnings bytes.Buffer
	command.Stderr = &warnings
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("ctr %v: %w: %s", arguments, err, warnings.String())
	}
	return string(output), nil
}
