package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// kernelSettings are the values that a kubelet insists on (kubelet's setupKernelTunables): where it finds another one it
// writes its own, and ends if it cannot.
var kernelSettings = map[string]string{
	"kernel/keys/root_maxbytes": "25000000",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
}

// settleKernel gives the kubelet what it wants to see. A machine of the lab shares the kernel with its host, whose
// settings are not ours to change and are read-only here: there the kubelet gets files of ours to read in their place.
func settleKernel() error {
	for _, name := range sortedKeys(kernelSettings) {
		if err := settleOne(filepath.Join("/proc/sys", name), kernelSettings[name]); err != nil {
			return fmt.Errorf("kernel setting %s: %w", name, err)
		}
	}
	return nil
}

func settleOne(path, wanted string) error {
	found, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(found)) == wanted {
		return err
	}
	err = os.WriteFile(path, []byte(wanted), 0o644)
	if !errors.Is(err, syscall.EROFS) {
		return err
	}
	shown := filepath.Join(runDir, "sysctl", strings.ReplaceAll(path, "/", "."))
	if err := writeFile(shown, []byte(wanted+"\n"), 0o644); err != nil {
		return err
	}
	return syscall.Mount(shown, path, "", syscall.MS_BIND, "")
}
