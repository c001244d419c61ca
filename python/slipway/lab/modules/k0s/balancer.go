package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// balancerRules say how a balancer of k0s treats the API servers behind it.
type balancerRules struct {
	dial, every    time.Duration
	failures, wins int
	check          func(ctx context.Context, address string) error
}

// upstream is one API server; it is down after so many failures of its check in a row, and back after so many wins.
type upstream struct {
	cancel context.CancelFunc
	down   bool
	row    int
}

// balancer hands each connection to an API server by chance among those that are not down. All are down: among all.
type balancer struct {
	name  string
	rules balancerRules

	mu      sync.Mutex
	servers map[string]*upstream
}

func newBalancer(name string, rules balancerRules) *balancer {
	return &balancer{name: name, rules: rules, servers: map[string]*upstream{}}
}

// serve passes connections on until the context ends.
func (b *balancer) serve(ctx context.Context, listener net.Listener) {
	context.AfterFunc(ctx, func() { listener.Close() })
	for {
		from, err := listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				say("%s: %v", b.name, err)
			}
			return
		}
		go b.pass(from)
	}
}

// pass tries one server only, as Envoy does: whoever asked sees that it failed, and asks again.
func (b *balancer) pass(from net.Conn) {
	defer from.Close()
	address := b.pick()
	to, err := net.DialTimeout("tcp", address, b.rules.dial)
	if err != nil {
		return
	}
	defer to.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}

func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := sortedKeys(b.servers)
	up := slices.DeleteFunc(slices.Clone(all), func(address string) bool { return b.servers[address].down })
	if len(up) == 0 {
		up = all
	}
	if len(up) == 0 {
		return ""
	}
	return up[rand.IntN(len(up))]
}

// set takes the API servers as they are now. None at all is a mistake, and changes nothing.
func (b *balancer) set(ctx context.Context, addresses []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(addresses) == 0 {
		return
	}
	for _, address := range sortedKeys(b.servers) {
		if !slices.Contains(addresses, address) {
			b.servers[address].cancel()
			delete(b.servers, address)
			say("%s: without %s", b.name, address)
		}
	}
	for _, address := range addresses {
		if b.servers[address] == nil {
			watch, cancel := context.WithCancel(ctx)
			b.servers[address] = &upstream{cancel: cancel}
			say("%s: with %s", b.name, address)
			go b.watch(watch, address, b.servers[address])
		}
	}
}

func (b *balancer) watch(ctx context.Context, address string, server *upstream) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(b.rules.every):
		}
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		err := b.rules.check(bounded, address)
		cancel()
		b.note(address, server, err)
	}
}

func (b *balancer) note(address string, server *upstream, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	needed := b.rules.failures
	if server.down {
		needed = b.rules.wins
	}
	if (err != nil) == server.down {
		server.row = 0
		return
	}
	if server.row++; server.row < needed {
		return
	}
	server.row, server.down = 0, !server.down
	say("%s: %s is down: %t (%v)", b.name, address, server.down, err)
}

func dialCheck(ctx context.Context, address string) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		connection.Close()
	}
	return err
}
