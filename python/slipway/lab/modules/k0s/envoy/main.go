// The lab's stand-in for Envoy, as k0s's node-local load balancer starts it.
//
// Envoy cannot be built where the lab runs. This program takes Envoy's arguments and the two files that k0s writes for it:
// the listeners in envoy.yaml, which never change, and the clusters in cds.yaml, which k0s writes anew whenever
// controllers come or go. It treats servers as the stand-in for k0s does, by the limits in the file.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"slipway.lab/k0s/balance"
)

const lookEvery = time.Second

func main() {
	set := flag.NewFlagSet("envoy (slipway lab stand-in)", flag.ExitOnError)
	file := set.String("c", "/etc/envoy/envoy.yaml", "Envoy's configuration")
	set.Bool("use-dynamic-base-id", false, "taken, as Envoy does, and without a meaning here")
	_ = set.Parse(os.Args[1:])
	if err := serve(context.Background(), *file); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func say(format string, values ...any) { fmt.Fprintf(os.Stderr, format+"\n", values...) }

// serve opens every listener of the file and follows its clusters until the context ends.
func serve(ctx context.Context, file string) error {
	listeners, path, err := readBootstrap(file)
	if err != nil {
		return err
	}
	path = filepath.Join(filepath.Dir(file), filepath.Base(path))
	clusters, err := readClusters(path)
	if err != nil {
		return err
	}
	balancers := map[string]*balance.Balancer{}
	for _, each := range listeners {
		behind, there := clusters[each.cluster]
		if !there {
			return fmt.Errorf("%s: no cluster %q, which %s leads to", path, each.cluster, each.address)
		}
		opened, err := net.Listen("tcp", each.address)
		if err != nil {
			return err
		}
		balancers[each.cluster] = balance.New(each.cluster, behind.rules, say)
		balancers[each.cluster].Set(ctx, behind.servers)
		go balancers[each.cluster].Serve(ctx, opened)
	}
	follow(ctx, path, balancers)
	return nil
}

// follow gives the balancers their servers anew. k0s replaces the file by a rename: what cannot be read is a mistake, and
// the servers of before stay.
func follow(ctx context.Context, path string, balancers map[string]*balance.Balancer) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
		clusters, err := readClusters(path)
		if err != nil {
			say("Error: %v", err)
			continue
		}
		for name, balancer := range balancers {
			balancer.Set(ctx, clusters[name].servers)
		}
	}
}
