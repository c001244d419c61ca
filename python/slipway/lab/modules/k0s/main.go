// The lab's stand-in for k0s.
//
// k0s itself cannot be had where the lab runs, so this program offers k0s's own sub-commands, flags, files, ports and
// sockets, and supervises the same real parts: etcd, the Kubernetes control plane, containerd and the kubelet. It is
// never to be taken for k0s: its version says what it is.
//
// What it leaves out, it says at start (config.go, leftOut): konnectivity, autopilot, k0s's own network providers and
// load balancers, Helm extensions.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	flag "github.com/spf13/pflag"
)

const (
	kubernetesVersion = "1.36.3"
	standIn           = "slipway lab stand-in, Kubernetes " + kubernetesVersion
)

// k0sVersion is the release that this program stands in for: the one that the system it was started by asks for.
// Kubernetes is the same with all of them.
var k0sVersion = statedVersion(os.Getenv("SLIPWAY_LAB_K0S_VERSION"))

func statedVersion(asked string) string {
	if asked == "" {
		return "v" + kubernetesVersion + "+k0s.2"
	}
	return asked
}

// minorVersion is 1.36 of v1.36.3+k0s.2.
func minorVersion() string {
	parts := strings.SplitN(strings.TrimPrefix(k0sVersion, "v"), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

func main() {
	// For the components as well: containerd looks for its shims and runc by name.
	os.Setenv("PATH", searchPath())
	run, arguments, err := find(os.Args[1:])
	if err == nil {
		err = run(arguments)
	}
	if errors.Is(err, flag.ErrHelp) {
		return // the flags have been printed
	}
	if err != nil {
		if code := exitCode(0); errors.As(err, &code) {
			os.Exit(int(code))
		}
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
}

// exitCode ends this program with a child's own exit code, which has already said why.
type exitCode int

func (code exitCode) Error() string { return fmt.Sprintf("exit code %d", int(code)) }

func printVersion(arguments []string) error {
	if err := parseFlags(newFlags("k0s version"), arguments); err != nil {
		return err
	}
	fmt.Printf("%s (%s)\n", k0sVersion, standIn)
	return nil
}
