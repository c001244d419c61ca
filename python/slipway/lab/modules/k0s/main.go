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

	flag "github.com/spf13/pflag"
)

const (
	kubernetesVersion = "1.36.3"
	// The release of k0s that this program stands in for.
	k0sVersion = "v" + kubernetesVersion + "+k0s.2"
	standIn    = "slipway lab stand-in, Kubernetes " + kubernetesVersion
)

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
