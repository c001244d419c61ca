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
)

const (
	kubernetesVersion = "1.36.3"
	// The release of k0s that this program stands in for.
	k0sVersion = "v" + kubernetesVersion + "+k0s.2"
	standIn    = "slipway lab stand-in, Kubernetes " + kubernetesVersion
)

// A command takes what follows its name on the command line.
type command func(arguments []string) error

var commands = map[string]command{
	"controller":       runController,
	"worker":           runWorker,
	"version":          printVersion,
	"--version":        printVersion,
	"status":           printStatus,
	"token create":     createToken,
	"token list":       listTokens,
	"token invalidate": invalidateTokens,
	"kubeconfig admin": printAdminKubeconfig,
	"kubectl":          runKubectl,
	"etcd member-list": printMembers,
	"config validate":  validateConfig,
	"sysinfo":          printSysinfo,
	"reset":            reset,
}

func main() {
	// For the components as well: containerd looks for its shims and runc by name.
	os.Setenv("PATH", searchPath())
	run, arguments := find(os.Args[1:])
	if run == nil {
		fmt.Fprintf(os.Stderr, "k0s (%s): unknown command %q; known: %s\n",
			standIn, strings.Join(os.Args[1:], " "), strings.Join(sortedKeys(commands), ", "))
		os.Exit(2)
	}
	if err := run(arguments); err != nil {
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

// find returns the command named by the first two words, or by the first, and the words after it.
func find(words []string) (command, []string) {
	for length := min(2, len(words)); length > 0; length-- {
		if run, known := commands[strings.Join(words[:length], " ")]; known {
			return run, words[length:]
		}
	}
	return nil, nil
}

func printVersion([]string) error {
	fmt.Printf("%s (%s)\n", k0sVersion, standIn)
	return nil
}
