package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestAResetTakesTheNetworkFilesOfK0sAlone(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"05-cilium.conflist", "10-calico.conflist", "10-kuberouter.conflist", "99-loopback.conf", "calico-kubeconfig"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeProviderFiles(folder); err != nil {
		t.Fatal(err)
	}
	if left := namesIn(t, folder); !slices.Equal(left, []string{"05-cilium.conflist", "99-loopback.conf"}) {
		t.Errorf("left: %v", left)
	}
	if err := removeProviderFiles(folder); err != nil {
		t.Errorf("nothing there is no failure: %v", err)
	}
}

func TestAFileThatStaysIsAFailureOfTheReset(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "10-calico.conflist", "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := removeProviderFiles(folder); err == nil {
		t.Error("a folder in its place was not removed, and not told")
	}
}

func TestEverythingInTheDataFolderGoes(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "pki", "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "pki", "etcd", "peer.key"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := emptyFolder(folder); err != nil {
		t.Fatal(err)
	}
	if left := namesIn(t, folder); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if err := emptyFolder(filepath.Join(folder, "nonentity")); err != nil {
		t.Errorf("a machine that never had k0s: %v", err)
	}
}

func TestWhatContainerdsClientWarnsOfIsNoTask(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "ctr")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho of old control groups >&2\necho task\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(fake))
	said, err := ctr(t.Context(), "tasks", "ls", "-q")
	if err != nil || said != "task\n" {
		t.Errorf("%q, %v", said, err)
	}
}

func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := make([]string, 0, len(entries))
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}
