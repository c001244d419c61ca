package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// reset ends the containers of this node and removes what k0s keeps on it, and no more: what others have put beside it
// stays (k0s's pkg/cleanup). k0s must be stopped; what the network provider has set up in the kernel stays until the
// next boot.
func reset(arguments []string) error {
	set := newFlags("k0s reset")
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	unlock, err := lock()
	if err != nil {
		return fmt.Errorf("another k0s process is still running, please stop k0s before reset: %w", err)
	}
	defer unlock()
	w := &worker{data: dataDir(defaultDataDir), running: &components{}}
	if err := w.removeContainers(); err != nil {
		return err
	}
	unmountPods(dataDir(defaultDataDir))
	if err := errors.Join(emptyFolder(defaultDataDir), removeProviderFiles(cniConfigDir), removeRunFiles()); err != nil {
		return err
	}
	say("To ensure a full reset, a node reboot is recommended.")
	return nil
}

// removeProviderFiles removes what k0s's own two network providers left; Cilium's, or anybody's, is not k0s's (its
// pkg/cleanup/cni_linux.go).
func removeProviderFiles(folder string) error {
	var failures []error
	for _, name := range []string{"10-calico.conflist", "calico-kubeconfig", "10-kuberouter.conflist"} {
		if err := os.Remove(filepath.Join(folder, name)); !errors.Is(err, os.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// removeContainers needs containerd once more, since only its shims know their containers.
func (w *worker) removeContainers() error {
	if !exists(w.data.path("containerd", "io.containerd.metadata.v1.bolt")) {
		return nil // containerd has never run here
	}
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	defer func() { w.running.stop() }()
	if err := w.startContainerd(ctx); err != nil {
		return err
	}
	tasks, err := ctr(ctx, "tasks", "ls", "-q")
	if err != nil {
		return err
	}
	for _, task := range strings.Fields(tasks) {
		if _, err := ctr(ctx, "tasks", "delete", "--force", task); err != nil {
			say("%v", err)
		}
	}
	return nil
}

// unmountPods unmounts what pods have left, the deepest first. What is mounted directly in the data directory is the
// machine's own (the lab binds the image archives and containerd's store there) and stays.
func unmountPods(data dataDir) {
	for _, target := range slices.Backward(mounted()) {
		ours := strings.HasPrefix(target, runDir+"/") || strings.HasPrefix(target, "/run/netns/") ||
			strings.HasPrefix(target, string(data)+"/") && filepath.Dir(target) != string(data)
		if !ours {
			continue
		}
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			say("unmount %s: %v", target, err)
		}
	}
}

// mounted lists all mount points in order, parents first.
func mounted() []string {
	content, _ := os.ReadFile("/proc/self/mounts")
	var found []string
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			found = append(found, fields[1])
		}
	}
	slices.Sort(found)
	return found
}

// emptyFolder removes everything in a folder; of what is mounted there, the content unless it is only shown to us.
func emptyFolder(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	targets := mounted()
	failures := []error{err}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		switch {
		case !slices.Contains(targets, path):
			failures = append(failures, os.RemoveAll(path))
		case !shown(path):
			failures = append(failures, emptyFolder(path))
		}
	}
	return errors.Join(failures...)
}

// shown tells whether a mount shows what is kept elsewhere: the lab's image archives, under an overlay of the machine's.
func shown(path string) bool {
	const readOnlyMount, overlay = 1, 0x794c7630 // ST_RDONLY, OVERLAYFS_SUPER_MAGIC
	var about syscall.Statfs_t
	return syscall.Statfs(path, &about) == nil && (about.Flags&readOnlyMount != 0 || about.Type == overlay)
}

func removeRunFiles() error {
	entries, err := os.ReadDir(runDir)
	failures := []error{err}
	for _, entry := range entries {
		if entry.Name() != "k0s.yaml.lock" {
			failures = append(failures, os.RemoveAll(filepath.Join(runDir, entry.Name())))
		}
	}
	return errors.Join(failures...)
}
