package main

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// firstImages are what a node needs to become Ready; all other pods wait for them anyway.
var firstImages = []string{"registry.k8s.io/pause", "quay.io/cilium/", "registry.k8s.io/coredns/"}

// imageArchive is one tar of images in docker-archive form.
type imageArchive struct {
	path   string
	size   int64
	digest string
	tags   []string
}

// imageArchives lists the archives of <data>/images: those that the node needs to become Ready, the most urgent first,
// and the rest, the smallest first.
func imageArchives(data dataDir) (first, rest []imageArchive) {
	paths, _ := filepath.Glob(filepath.Join(data.images(), "*.tar"))
	all := readArchives(paths)
	slices.SortStableFunc(all, func(a, b imageArchive) int {
		return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), cmp.Compare(a.size, b.size))
	})
	split := slices.IndexFunc(all, func(each imageArchive) bool { return each.urgency() == len(firstImages) })
	if split < 0 {
		return all, nil
	}
	return all[:split], all[split:]
}

// importAll gives containerd what it does not have yet. It goes on after a failure: one bad archive must not keep the
// others out.
func importAll(ctx context.Context, data dataDir, archives []imageArchive) {
	for _, archive := range archives {
		if ctx.Err() != nil {
			return
		}
		if err := archive.importOnce(ctx, data); err != nil {
			say("image archive %s: %v", archive.path, err)
		}
	}
}

func readArchives(paths []string) []imageArchive {
	var found []imageArchive
	for _, path := range paths {
		archive, err := readArchive(path)
		if err != nil {
			say("image archive %s: %v", path, err)
			continue
		}
		found = append(found, archive)
	}
	return found
}

// readArchive reads the manifest and the image configurations, which name the digest of every layer: their digest tells
// whether the content is the same, at the price of a few kilobytes in place of the whole archive.
func readArchive(path string) (imageArchive, error) {
	file, err := os.Open(path)
	if err != nil {
		return imageArchive{}, err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return imageArchive{}, err
	}
	small, err := smallFiles(tar.NewReader(file))
	if err != nil {
		return imageArchive{}, err
	}
	var manifest []struct {
		Config   string
		RepoTags []string
	}
	if err := json.Unmarshal(small["manifest.json"], &manifest); err != nil {
		return imageArchive{}, fmt.Errorf("manifest.json: %w", err)
	}
	digest := sha256.New()
	digest.Write(small["manifest.json"])
	archive := imageArchive{path: path, size: about.Size()}
	for _, image := range manifest {
		digest.Write(small[image.Config])
		archive.tags = append(archive.tags, image.RepoTags...)
	}
	archive.digest = hex.EncodeToString(digest.Sum(nil))
	return archive, nil
}

// smallFiles reads the JSON files of a tar; layers are skipped by seeking.
func smallFiles(archive *tar.Reader) (map[string][]byte, error) {
	const limit = 1 << 20
	found := map[string][]byte{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg || header.Size > limit || strings.HasSuffix(header.Name, ".tar") {
			continue
		}
		if found[header.Name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

func (a imageArchive) urgency() int {
	for rank, prefix := range firstImages {
		for _, tag := range a.tags {
			if strings.HasPrefix(tag, prefix) {
				return rank
			}
		}
	}
	return len(firstImages)
}

// importOnce leaves a mark by content beside containerd's own store, so that the two are lost together.
func (a imageArchive) importOnce(ctx context.Context, data dataDir) error {
	mark := data.importedImage(a.digest)
	if exists(mark) {
		return nil
	}
	started := time.Now()
	if _, err := ctr(ctx, "images", "import", a.path); err != nil {
		return err
	}
	say("imported %s in %.1f s", strings.Join(a.tags, ", "), time.Since(started).Seconds())
	return writeFile(mark, []byte(strings.Join(a.tags, "\n")+"\n"), 0o644)
}
