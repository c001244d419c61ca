package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

const cgroups = "/sys/fs/cgroup"

// nodeCgroup makes the cgroup that all pods of this node live in, and returns its name; empty on cgroup v2, where the
// machine has a tree of its own. On v1 the machines of a lab see more than their own, and systemd removes empty groups of
// controllers that no unit uses at the moment; while k0s.service runs (Delegate=yes) it uses all of them, so this is the
// time to make the groups.
func nodeCgroup(hostname string) (string, error) {
	if exists(filepath.Join(cgroups, "cgroup.controllers")) {
		return "", nil
	}
	controllers, err := filepath.Glob(cgroups + "/*/cgroup.procs")
	if err != nil {
		return "", err
	}
	for _, file := range controllers {
		if err := makeCgroup(filepath.Dir(file), hostname); err != nil {
			return "", fmt.Errorf("the cgroup of this node: %w", err)
		}
	}
	return "/" + hostname, nil
}

func makeCgroup(controller, name string) error {
	if exists(filepath.Join(controller, "cgroup.controllers")) {
		return nil // the v2 tree of a hybrid machine, which the kubelet leaves alone
	}
	group := filepath.Join(controller, name)
	if err := os.MkdirAll(group, 0o755); err != nil {
		return err
	}
	// A new cpuset is empty and takes no process.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if err := inherit(controller, group, file); err != nil {
			return err
		}
	}
	return nil
}

// inherit fills an empty file of a group from its parent's; most controllers have no such file.
func inherit(parent, group, file string) error {
	own, err := os.ReadFile(filepath.Join(group, file))
	if err != nil || len(bytes.TrimSpace(own)) > 0 {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(parent, file))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(group, file), content, 0o644)
}
