package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Categories of k0s's own probes.
const (
	pass     = "pass"
	warning  = "warning"
	rejected = "rejected"
	failed   = "error"
)

// probe is one line of `k0s sysinfo -o json`.
type probe struct {
	Path        []string `json:"path"`
	DisplayName string   `json:"displayName"`
	Prop        string   `json:"prop"`
	Message     string   `json:"message"`
	Category    string   `json:"category"`
	Error       string   `json:"error,omitempty"`
}

// printSysinfo asks of the machine what k0s asks, as far as it can hold in a lab: not the kernel's configuration, which
// is the host's.
func printSysinfo(arguments []string) error {
	set := newFlags("k0s sysinfo")
	controller := set.Bool("controller", true, "include what a controller needs")
	worker := set.Bool("worker", true, "include what a worker needs")
	format := set.StringP("output", "o", "text", "text or json")
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	if *format != "text" && *format != "json" {
		return fmt.Errorf("unknown output format: %q", *format)
	}
	probes := probeAll(dataDir(defaultDataDir), *controller, *worker)
	if *format == "json" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(probes); err != nil {
			return err
		}
	} else {
		for _, each := range probes {
			fmt.Printf("%s: %s (%s) %s%s\n", each.DisplayName, each.Prop, each.Category, each.Message, each.Error)
		}
	}
	for _, each := range probes {
		if each.Category == rejected || each.Category == failed {
			return exitCode(1)
		}
	}
	return nil
}

func probeAll(data dataDir, controller, worker bool) []probe {
	var memory, disk uint64
	if controller {
		memory, disk = 1<<30, 500<<20
	}
	if worker {
		memory, disk = max(memory, 500<<20), disk+1300<<20
	}
	probes := []probe{probeMemory(memory), probeDisk(string(data), disk), probeLocalhost(), probeFiles(), probeCgroups()}
	if worker {
		for _, name := range []string{"modprobe", "mount", "umount"} {
			probes = append(probes, probeProgram(name))
		}
		if dropInsAreProbed() {
			probes = append(probes, probeDropIns(dropIns)...)
		}
	}
	return probes
}

func probeMemory(wanted uint64) probe {
	found := probe{Path: []string{"memory"}, DisplayName: "Total memory", Category: pass}
	var about syscall.Sysinfo_t
	if err := syscall.Sysinfo(&about); err != nil {
		return found.failed(err)
	}
	total := about.Totalram * uint64(about.Unit)
	return found.atLeast(total, wanted, warning)
}

// probeDisk looks at the nearest folder above that exists: before the first start there is no data directory.
func probeDisk(folder string, wanted uint64) probe {
	for !exists(folder) && folder != "/" {
		folder = filepath.Dir(folder)
	}
	found := probe{Path: []string{"disk"}, DisplayName: "Disk space available for " + folder, Category: pass}
	var about syscall.Statfs_t
	if err := syscall.Statfs(folder, &about); err != nil {
		return found.failed(err)
	}
	return found.atLeast(about.Bavail*uint64(about.Bsize), wanted, rejected)
}

func probeLocalhost() probe {
	found := probe{Path: []string{"localhost"}, DisplayName: "Name resolution: localhost", Category: pass}
	addresses, err := net.LookupHost("localhost")
	if err != nil {
		return found.failed(err)
	}
	found.Prop = strings.Join(addresses, ", ")
	return found
}

func probeFiles() probe {
	const wanted = 65536
	found := probe{Path: []string{"nofile"}, DisplayName: "Max. file descriptors per process: current", Category: pass}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return found.failed(err)
	}
	found.Prop = fmt.Sprint(limit.Cur)
	if limit.Cur < wanted {
		found.Category, found.Message = warning, fmt.Sprintf("< %d", wanted)
	}
	return found
}

func probeCgroups() probe {
	found := probe{Path: []string{"cgroups"}, DisplayName: "Control Groups", Prop: "version 2", Category: pass}
	if !exists(filepath.Join(cgroups, "cgroup.controllers")) {
		found.Prop, found.Category = "version 1", warning
		found.Message = "k0s itself would reject this; the stand-in's kubelet goes on"
	}
	return found
}

func probeProgram(name string) probe {
	found := probe{Path: []string{"executables", name}, DisplayName: "Executable in PATH: " + name, Category: pass}
	path, err := exec.LookPath(name)
	if err != nil {
		found.Category, found.Message = warning, "not found"
		return found
	}
	found.Prop = path
	return found
}

func (p probe) failed(err error) probe {
	p.Category, p.Error = failed, err.Error()
	return p
}

func (p probe) atLeast(found, wanted uint64, otherwise string) probe {
	p.Prop = mebibytes(found)
	if found < wanted {
		p.Category, p.Message = otherwise, mebibytes(wanted)+" are needed"
	}
	return p
}

func mebibytes(bytes uint64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
