package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	etcdSnapshot = "etcd-snapshot.db"
	archivePart  = "k0s_backup_"
	snapshotTime = 10 * time.Minute
)

// backup packs what k0s packs, in its order: a snapshot of etcd, folders of the data directory, k0s.yaml.
func backup(arguments []string) error {
	set := newFlags("k0s backup")
	savePath := set.String("save-path", "", "destination directory path for backup assets, use '-' for stdout")
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	if *savePath != "-" && !isFolder(*savePath) {
		return fmt.Errorf("the save-path directory (%s) does not exist", *savePath)
	}
	status, err := fetchStatus()
	if err != nil {
		return fmt.Errorf("unable to detect cluster status %w", err)
	}
	if status.Role != "controller" {
		return fmt.Errorf("backup command must be run on the controller node, have `%s`", status.Role)
	}
	folder, err := os.MkdirTemp("", "k0s-backup")
	if err != nil {
		return fmt.Errorf("failed to create temporary directory: %w", err)
	}
	defer os.RemoveAll(folder)
	files, err := status.data().toBackUp(folder)
	if err != nil {
		return err
	}
	if *savePath == "-" {
		return pack(os.Stdout, files, status.data())
	}
	name := archivePart + time.Now().Format("2006-01-02T15_04_05_000Z") + ".tar.gz"
	return packInto(filepath.Join(*savePath, name), files, status.data())
}

// toBackUp lists the files; the snapshot is made in `folder`.
func (d dataDir) toBackUp(folder string) ([]string, error) {
	snapshot := filepath.Join(folder, etcdSnapshot)
	if err := saveSnapshot(d, snapshot); err != nil {
		return nil, fmt.Errorf("failed to create backup on step `etcd`: %w", err)
	}
	files := []string{snapshot}
	for _, part := range []string{"pki", "manifests", "images", "helmhome", "helmhome/repositories.yaml"} {
		err := filepath.Walk(d.path(part), func(path string, _ os.FileInfo, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			files = append(files, path)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("failed to create backup on step `filesystem path `%s``: %w", d.path(part), err)
		}
	}
	return append(files, defaultConfigFile), nil
}

// saveSnapshot writes the stream that etcd sends: its database, and the digest that a restore checks.
func saveSnapshot(data dataDir, path string) error {
	etcd, err := etcdClient(data)
	if err != nil {
		return err
	}
	client := *etcd.http
	client.Timeout = snapshotTime
	response, err := client.Post(etcdClientURL+"/v3/maintenance/snapshot", "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: snapshot: %s", response.Status)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	parts := json.NewDecoder(response.Body)
	for {
		var part struct {
			Result struct{ Blob []byte }
			Error  *struct{ Message string }
		}
		err := parts.Decode(&part)
		if errors.Is(err, io.EOF) {
			return file.Sync()
		}
		if err == nil && part.Error != nil {
			err = errors.New(part.Error.Message)
		}
		if err == nil {
			_, err = file.Write(part.Result.Blob)
		}
		if err != nil {
			return fmt.Errorf("etcd: snapshot: %w", err)
		}
	}
}

func packInto(path string, files []string, data dataDir) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("failed to create archive `%s`: %w", path, err)
	}
	return errors.Join(pack(file, files, data), file.Close())
}

// pack names what lies in the data directory by its path there, all else by its name alone.
func pack(out io.Writer, files []string, data dataDir) error {
	compressed := gzip.NewWriter(out)
	archive := tar.NewWriter(compressed)
	for _, path := range files {
		if err := addTo(archive, path, data); err != nil {
			return fmt.Errorf("failed to add file to backup archive: %w", err)
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

func addTo(archive *tar.Writer, path string, data dataDir) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("failed to open file: %w", err)
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(about, "")
	if err != nil {
		return err
	}
	header.Name = filepath.Base(path)
	if strings.Contains(path, string(data)) {
		if header.Name, err = filepath.Rel(string(data), path); err != nil {
			return err
		}
	}
	if err := archive.WriteHeader(header); err != nil || about.IsDir() {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}

// restore unpacks an archive, has etcd make its data of the snapshot, and copies the folders into the data directory.
func restore(arguments []string) error {
	set := newFlags("k0s restore")
	configOut := set.String("config-out", "", "full path for the restored k0s.yaml file (default: k0s_<archive timestamp>.yaml)")
	if err := set.Parse(arguments); err != nil {
		return err
	}
	if set.NArg() != 1 {
		return fmt.Errorf("accepts 1 arg(s), received %d", set.NArg())
	}
	path := set.Arg(0)
	if status, err := fetchStatus(); err == nil && status.Pid != 0 {
		return errors.New("k0s seems to be running! k0s must be down during the restore operation.")
	}
	if path != "-" && !exists(path) {
		return fmt.Errorf("given file %s does not exist", path)
	}
	if *configOut == "" {
		*configOut = configName(path)
	}
	return restoreFrom(path, dataDir(defaultDataDir), *configOut)
}

// configName is where k0s puts the archive's k0s.yaml: into the folder that it was called in.
func configName(archive string) string {
	if archive == "-" {
		return "-"
	}
	name, _, _ := strings.Cut(filepath.Base(archive), ".")
	return "k0s_" + strings.TrimPrefix(name, archivePart) + ".yaml"
}

func restoreFrom(path string, data dataDir, configOut string) error {
	folder, err := os.MkdirTemp("", "k0s-backup")
	if err != nil {
		return fmt.Errorf("failed to create temporary directory: %w", err)
	}
	defer os.RemoveAll(folder)
	if err := unpack(path, folder); err != nil {
		return fmt.Errorf("failed to unpack backup archive `%s`: %w", path, err)
	}
	config, err := loadConfig(filepath.Join(folder, "k0s.yaml"))
	if err != nil {
		return fmt.Errorf("failed to parse backed-up configuration file, check the backup archive: %w", err)
	}
	if err := makeFolder(string(data), 0o755); err != nil {
		return err
	}
	if err := restoreEtcd(filepath.Join(folder, etcdSnapshot), config.Spec.Storage.Etcd.PeerAddress, data); err != nil {
		return fmt.Errorf("failed to restore on step `etcd`: %w", err)
	}
	for _, part := range []string{"pki", "manifests", "images", "helmhome"} {
		if err := copyTree(filepath.Join(folder, part), data.path(part)); err != nil {
			return fmt.Errorf("failed to restore on step `filesystem path `%s``: %w", data.path(part), err)
		}
	}
	content, err := os.ReadFile(filepath.Join(folder, "k0s.yaml"))
	if err != nil {
		return err
	}
	if configOut == "-" {
		_, err = os.Stdout.Write(content)
		return err
	}
	return os.WriteFile(configOut, content, 0o644)
}

func unpack(path, folder string) error {
	input := os.Stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		input = file
	}
	compressed, err := gzip.NewReader(input)
	if err != nil {
		return err
	}
	archive := tar.NewReader(compressed)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackOne(archive, header, folder); err != nil {
			return err
		}
	}
}

// unpackOne refuses what would come out anywhere else, and a folder that is there already, as k0s does.
func unpackOne(archive io.Reader, header *tar.Header, folder string) error {
	target := filepath.Join(folder, header.Name)
	if !strings.HasPrefix(target, filepath.Clean(folder)+"/") {
		return fmt.Errorf("%s: illegal file path", header.Name)
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return os.Mkdir(target, header.FileInfo().Mode())
	case tar.TypeReg:
		file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, header.FileInfo().Mode())
		if err != nil {
			return err
		}
		_, err = io.Copy(file, archive)
		return errors.Join(err, file.Close())
	default:
		say("unknown type %b for archive file %s", header.Typeflag, header.Name)
		return nil
	}
}

// restoreEtcd has this machine be the only member, under its own name and at the address of the archive's k0s.yaml.
func restoreEtcd(snapshot, address string, data dataDir) error {
	if !exists(snapshot) {
		return fmt.Errorf("etcd snapshot not found at %s", snapshot)
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	path, err := program("etcdutl")
	if err != nil {
		return err
	}
	url := "https://" + net.JoinHostPort(address, "2380")
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTime)
	defer cancel()
	arguments := []string{
		"snapshot", "restore", snapshot, "--name=" + name, "--initial-cluster=" + name + "=" + url,
		"--initial-advertise-peer-urls=" + url, "--data-dir=" + data.etcdData(),
	}
	if output, err := exec.CommandContext(ctx, path, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// copyTree copies over what is there; a tree that the archive does not have is none.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == from {
			return nil
		}
		if err != nil {
			return err
		}
		below, _ := filepath.Rel(from, path)
		target := filepath.Join(to, below)
		about, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return makeFolder(target, about.Mode().Perm())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(target, content, about.Mode().Perm()), os.Chmod(target, about.Mode().Perm()))
	})
}

func isFolder(path string) bool {
	about, err := os.Stat(path)
	return err == nil && about.IsDir()
}
