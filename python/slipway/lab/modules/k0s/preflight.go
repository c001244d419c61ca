package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

const (
	dropIns = "/etc/k0s/containerd.d"
	// The plugin whose place in the configuration moved with containerd 2, which k0s has from 1.36 on.
	formerCRI = "io.containerd.grpc.v1.cri"
)

// preFlight ends a start on a machine that k0s refuses; each reason is a line of the log, as k0s's own.
func preFlight(probes []probe) error {
	refused := false
	for _, each := range probes {
		if each.Category == rejected || each.Category == failed {
			refused = true
			say("pre-flight-check %s: Rejected: %s%s", each.DisplayName, each.Message, each.Error)
		}
	}
	if refused {
		return errors.New("pre-flight checks failed, check out `k0s sysinfo`")
	}
	return nil
}

// dropInsAreProbed tells whether this release runs containerd 2, as those from 1.36 on do.
func dropInsAreProbed() bool {
	_, minor, _ := strings.Cut(minorVersion(), ".")
	number, err := strconv.Atoi(minor)
	return err != nil || number >= 36
}

// probeDropIns looks at every drop-in of containerd's configuration, as k0s does from 1.36 on.
func probeDropIns(folder string) []probe {
	files, _ := filepath.Glob(filepath.Join(folder, "*.toml"))
	path := []string{"containerd:configSnippets"}
	title := probe{Path: path, DisplayName: "Containerd config snippets in " + folder, Prop: folder, Category: pass}
	if len(files) == 0 {
		title.Prop = "no config snippets found"
	}
	probes := []probe{title}
	for _, file := range files {
		name := filepath.Base(file)
		found := probe{Path: append(path[:1:1], "file:"+name), DisplayName: "Containerd config snippet: " + name, Category: pass}
		found.Prop = file
		content, err := os.ReadFile(file)
		if err != nil {
			probes = append(probes, found.failed(err))
			continue
		}
		if err := checkDropIn(content); err != nil {
			found.Category, found.Message = rejected, err.Error()
		}
		probes = append(probes, found)
	}
	return probes
}

func checkDropIn(content []byte) error {
	var settings struct {
		Version *int
		Plugins map[string]any
	}
	if err := toml.Unmarshal(content, &settings); err != nil {
		return fmt.Errorf("failed to parse TOML: %w", err)
	}
	var found []error
	if settings.Version != nil && *settings.Version != 3 {
		found = append(found, fmt.Errorf("unsupported configuration version: expected 3, got %d", *settings.Version))
	}
	if _, there := settings.Plugins[formerCRI]; there {
		found = append(found, fmt.Errorf("configuration contains a [plugins.%q] section which is the containerd v1 CRI plugin format", formerCRI))
	}
	return errors.Join(found...)
}
