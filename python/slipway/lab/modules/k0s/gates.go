package main

import (
	"fmt"
	"strconv"
	"strings"

	flag "github.com/spf13/pflag"
)

// featureGates are k0s's own (pkg/featuregate), as far as slipway sets them.
type featureGates struct{ ipv6SingleStack bool }

func gatesFlag(set *flag.FlagSet) *featureGates {
	var gates featureGates
	set.Var(&gates, "feature-gates", "feature gates to enable (comma separated list of key=value pairs)")
	return &gates
}

func (g *featureGates) Set(text string) error {
	for _, pair := range splitList(text) {
		name, value, _ := strings.Cut(pair, "=")
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("invalid feature gate value %q for key %q, expected true or false", value, name)
		}
		if name != "IPv6SingleStack" {
			return fmt.Errorf("unknown feature gate %q", name)
		}
		g.ipv6SingleStack = on
	}
	return nil
}

func (g *featureGates) String() string { return fmt.Sprintf("IPv6SingleStack=%t", g.ipv6SingleStack) }
func (g *featureGates) Type() string   { return "key=value" }
