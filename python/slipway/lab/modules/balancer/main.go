// The lab's stand-in for Envoy, as k0s's node-local load balancer starts it.
//
// Envoy cannot be built where the lab runs. This program takes Envoy's arguments and the two files that k0s writes for it:
// the listeners in envoy.yaml, which never change, and the clusters in cds.yaml, which k0s writes anew whenever
// controllers come or go. It passes TCP connections on to any server that answers; it asks none for its health beforehand.
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	connectTimeout = time.Second
	lookEvery      = time.Second
)

func main() {
	set := flag.NewFlagSet("envoy (slipway lab stand-in)", flag.ExitOnError)
	file := set.String("c", "/etc/envoy/envoy.yaml", "Envoy's configuration")
	set.Bool("use-dynamic-base-id", false, "taken, as Envoy does, and without a meaning here")
	_ = set.Parse(os.Args[1:])
	if err := serve(*file); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// serve opens every listener of the file and follows its clusters for good.
func serve(file string) error {
	listeners, clusters, err := readBootstrap(file)
	if err != nil {
		return err
	}
	balancer := &balancer{path: filepath.Join(filepath.Dir(file), filepath.Base(clusters))}
	if err := balancer.look(); err != nil {
		return err
	}
	for _, each := range listeners {
		opened, err := net.Listen("tcp", each.address)
		if err != nil {
			return err
		}
		go balancer.accept(opened, each.cluster)
	}
	for range time.Tick(lookEvery) {
		// k0s replaces the file by a rename: what cannot be read is a mistake, and the servers of before stay.
		if err := balancer.look(); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
		}
	}
	return nil
}

type balancer struct {
	path    string
	servers atomic.Pointer[map[string][]string]
}

// look reads which servers each cluster has now.
func (b *balancer) look() error {
	found, err := readClusters(b.path)
	if err == nil {
		b.servers.Store(&found)
	}
	return err
}

func (b *balancer) accept(listener net.Listener, cluster string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
			time.Sleep(lookEvery)
			continue
		}
		go b.pass(client, cluster)
	}
}

// pass connects the client with the first server that takes the connection, in an order of chance.
func (b *balancer) pass(client net.Conn, cluster string) {
	defer client.Close()
	servers := (*b.servers.Load())[cluster]
	for _, i := range rand.Perm(len(servers)) {
		server, err := net.DialTimeout("tcp", servers[i], connectTimeout)
		if err != nil {
			continue
		}
		defer server.Close()
		join(client, server)
		return
	}
	fmt.Fprintf(os.Stderr, "Error: %s: none of its servers answers: %v\n", cluster, servers)
}

// join copies both ways until both sides have said all.
func join(one, other net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{one, other}, {other, one}} {
		both.Go(func() {
			_, err := io.Copy(way[0], way[1])
			if closer, ok := way[0].(*net.TCPConn); ok && err == nil {
				_ = closer.CloseWrite()
				return
			}
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
}
