package main

import (
	"fmt"
	"slices"
	"strings"

	flag "github.com/spf13/pflag"
)

// A command takes what follows its name on the command line.
type command func(arguments []string) error

// commands are those of k0s that slipway uses, and no others (tests/data/k0s/contract.yaml).
var commands = map[string]command{
	"controller":       runController,
	"worker":           runWorker,
	"version":          printVersion,
	"status":           printStatus,
	"token create":     createToken,
	"token list":       listTokens,
	"token invalidate": invalidateTokens,
	"kubeconfig admin": printAdminKubeconfig,
	"kubectl":          runKubectl,
	"etcd leave":       leaveEtcd,
	"etcd member-list": printMembers,
	"config validate":  validateConfig,
	"sysinfo":          printSysinfo,
	"reset":            reset,
	"backup":           backup,
	"restore":          restore,
}

// find returns the command named by the first two words, or by the first, and the words after it. It refuses others as
// cobra does, which k0s is made with.
func find(words []string) (command, []string, error) {
	for length := min(2, len(words)); length > 0; length-- {
		if run, known := commands[strings.Join(words[:length], " ")]; known {
			return run, words[length:], nil
		}
	}
	return nil, nil, unknown(words)
}

func unknown(words []string) error {
	parent := "k0s"
	if len(words) > 0 && slices.ContainsFunc(sortedKeys(commands), func(name string) bool {
		return strings.HasPrefix(name, words[0]+" ")
	}) {
		parent, words = "k0s "+words[0], words[1:]
	}
	switch {
	case len(words) == 0:
		return fmt.Errorf("%s wants a command; the %s has: %s", parent, standIn, strings.Join(sortedKeys(commands), ", "))
	case strings.HasPrefix(words[0], "-"):
		return fmt.Errorf("unknown flag: %s", words[0])
	default:
		return fmt.Errorf("unknown command %q for %q", words[0], parent)
	}
}

func newFlags(name string) *flag.FlagSet { return flag.NewFlagSet(name, flag.ContinueOnError) }

// parseFlags reads the flags of a command that takes nothing else.
func parseFlags(set *flag.FlagSet, arguments []string) error {
	if err := set.Parse(arguments); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("unknown command %q for %q", set.Arg(0), set.Name())
	}
	return nil
}
