package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packed is an archive of a small data directory, as k0s would make it.
func packed(t *testing.T) (path string, names []string) {
	t.Helper()
	data := dataDir(t.TempDir())
	for name, content := range map[string]string{"pki/ca.crt": "CA", "pki/etcd/ca.key": "KEY", "images/a.tar": "A"} {
		if err := writeFile(data.path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "k0s.yaml")
	if err := os.WriteFile(elsewhere, []byte(minimal), 0o644); err != nil {
		t.Fatal(err)
	}
	files := []string{
		data.path("pki"), data.path("pki/ca.crt"), data.path("pki/etcd"), data.path("pki/etcd/ca.key"),
		data.path("images"), data.path("images/a.tar"), elsewhere,
	}
	path = filepath.Join(t.TempDir(), "k0s_backup_2026-01-02T03_04_05_006Z.tar.gz")
	if err := packInto(path, files, data); err != nil {
		t.Fatal(err)
	}
	file, _ := os.Open(path)
	defer file.Close()
	compressed, _ := gzip.NewReader(file)
	archive := tar.NewReader(compressed)
	for {
		header, err := archive.Next()
		if err != nil {
			return path, names
		}
		names = append(names, strings.TrimSuffix(header.Name, "/"))
	}
}

func TestAnArchiveHasTheNamesOfK0s(t *testing.T) {
	_, names := packed(t)
	wanted := "pki pki/ca.crt pki/etcd pki/etcd/ca.key images images/a.tar k0s.yaml"
	if got := strings.Join(names, " "); got != wanted {
		t.Errorf("%s", got)
	}
}

func TestWhatWasPackedComesOutAgainWithItsModes(t *testing.T) {
	path, _ := packed(t)
	folder, target := t.TempDir(), t.TempDir()
	if err := unpack(path, folder); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(filepath.Join(folder, "pki"), filepath.Join(target, "pki")); err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(filepath.Join(target, "pki/etcd/ca.key"))
	about, err := os.Stat(filepath.Join(target, "pki/etcd/ca.key"))
	if string(content) != "KEY" || err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("%q %v %v", content, about, err)
	}
	if err := copyTree(filepath.Join(folder, "manifests"), filepath.Join(target, "manifests")); err != nil {
		t.Errorf("a part that the archive lacks: %v", err)
	}
}

func TestAnArchiveThatLeavesItsFolderIsRefused(t *testing.T) {
	header := &tar.Header{Name: "../x", Typeflag: tar.TypeReg}
	err := unpackOne(bytes.NewReader(nil), header, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "../x: illegal file path") {
		t.Error(err)
	}
}

func TestARestoreWantsASnapshotAndNamesItsConfigurationByTheArchive(t *testing.T) {
	path, _ := packed(t)
	err := restoreFrom(path, dataDir(t.TempDir()), "-")
	if err == nil || !strings.Contains(err.Error(), "step `etcd`: etcd snapshot not found at ") {
		t.Errorf("without a snapshot: %v", err)
	}
	if got := configName(path); got != "k0s_2026-01-02T03_04_05_006Z.yaml" {
		t.Error(got)
	}
	if got := configName("-"); got != "-" {
		t.Error(got)
	}
}
