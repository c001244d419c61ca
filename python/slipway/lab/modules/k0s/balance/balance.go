// Package balance hands connections to API servers as the balancers of k0s do: the one of the virtual address in k0s
// itself, and Envoy, which k0s starts on workers.
package balance

import (
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Rules say how a balancer treats the servers behind it.
type Rules struct {
	// Dial is the time limit of a connection, Every the time between two checks of a server, Timeout that of a check.
	Dial, Every, Timeout time.Duration
	// A server is down after so many failures of its check in a row, and back after so many wins.
	Failures, Wins int
	// Believed is the share of servers, in percent, that must be up: where fewer are, all are tried, as where none is.
	Believed int
	Check    func(ctx context.Context, address string) error
}

type server struct {
	cancel context.CancelFunc
	down   bool
	row    int
}

// Envoy is what Envoy takes for Believed unless it is told otherwise (its healthy_panic_threshold).
const Envoy = 50

// Balancer hands each connection to a server by chance among those that are not down.
type Balancer struct {
	name  string
	rules Rules
	say   func(format string, values ...any)

	mu      sync.Mutex
	servers map[string]*server
}

// New makes a balancer without servers; it says in words what becomes of them.
func New(name string, rules Rules, say func(format string, values ...any)) *Balancer {
	return &Balancer{name: name, rules: rules, say: say, servers: map[string]*server{}}
}

// Serve passes connections on until the context ends.
func (b *Balancer) Serve(ctx context.Context, listener net.Listener) {
	context.AfterFunc(ctx, func() { listener.Close() })
	for {
		from, err := listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				b.say("%s: %v", b.name, err)
			}
			return
		}
		go b.pass(from)
	}
}

// pass tries one server only, as Envoy does: whoever asked sees that it failed, and asks again.
func (b *Balancer) pass(from net.Conn) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", b.pick(), b.rules.Dial)
	if err != nil {
		return
	}
	defer to.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() { hand(way[0], way[1]) })
	}
	both.Wait()
}

// hand copies one way. Who has said all may still be answered; a way that broke ends the other one too.
func hand(into, from net.Conn) {
	_, err := io.Copy(into, from)
	if half, ok := into.(*net.TCPConn); ok && err == nil && half.CloseWrite() == nil {
		return
	}
	into.Close()
	from.Close()
}

func (b *Balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.addresses()
	up := slices.DeleteFunc(slices.Clone(all), func(address string) bool { return b.servers[address].down })
	if len(up) == 0 || 100*len(up) < b.rules.Believed*len(all) {
		up = all
	}
	if len(up) == 0 {
		return ""
	}
	return up[rand.IntN(len(up))]
}

// Set takes the servers as they are now.
func (b *Balancer) Set(ctx context.Context, addresses []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, address := range b.addresses() {
		if !slices.Contains(addresses, address) {
			b.servers[address].cancel()
			delete(b.servers, address)
			b.say("%s: without %s", b.name, address)
		}
	}
	for _, address := range addresses {
		if b.servers[address] == nil {
			watch, cancel := context.WithCancel(ctx)
			b.servers[address] = &server{cancel: cancel}
			b.say("%s: with %s", b.name, address)
			go b.watch(watch, address, b.servers[address])
		}
	}
}

func (b *Balancer) addresses() []string { return slices.Sorted(maps.Keys(b.servers)) }

func (b *Balancer) watch(ctx context.Context, address string, server *server) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(b.rules.Every):
		}
		bounded, cancel := context.WithTimeout(ctx, b.rules.Timeout)
		err := b.rules.Check(bounded, address)
		cancel()
		if ctx.Err() == nil {
			b.note(address, server, err)
		}
	}
}

func (b *Balancer) note(address string, server *server, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	needed := b.rules.Failures
	if server.down {
		needed = b.rules.Wins
	}
	if (err != nil) == server.down {
		server.row = 0
		return
	}
	if server.row++; server.row < needed {
		return
	}
	server.row, server.down = 0, !server.down
	b.say("%s: %s is down: %t (%v)", b.name, address, server.down, err)
}

// Connects is the check whether a server takes connections.
func Connects(ctx context.Context, address string) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		connection.Close()
	}
	return err
}
