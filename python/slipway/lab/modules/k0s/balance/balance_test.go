package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

var errNoAnswer = errors.New("no answer")

func never(context.Context, string) error { return nil }

// speaks listens, and says `word` and what it heard to whoever has said all.
func speaks(t *testing.T, word string) string {
	t.Helper()
	listener := listen(t)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			heard, _ := io.ReadAll(connection)
			fmt.Fprint(connection, word, string(heard))
			connection.Close()
		}
	}()
	return listener.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// balancing returns a balancer of these servers and what fifty who ask it hear, each once.
func balancing(t *testing.T, rules Rules, servers ...string) (*Balancer, func() string) {
	t.Helper()
	balancer := New("test", rules, t.Logf)
	balancer.Set(t.Context(), servers)
	front := listen(t)
	go balancer.Serve(t.Context(), front)
	return balancer, func() string {
		all := map[string]bool{}
		for range 50 {
			connection, err := net.Dial("tcp", front.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(connection, "!")
			_ = connection.(*net.TCPConn).CloseWrite()
			heard, _ := io.ReadAll(connection)
			connection.Close()
			all[string(heard)] = true
		}
		return strings.Join(slices.Sorted(maps.Keys(all)), " ")
	}
}

func TestEveryServerIsReachedAndTheOneThatIsDownIsLeft(t *testing.T) {
	one, two := speaks(t, "1"), speaks(t, "2")
	rules := Rules{Dial: time.Second, Every: time.Hour, Failures: 2, Wins: 1, Check: never}
	balancer, heard := balancing(t, rules, one, two)
	told := func(address string, err error) { balancer.note(address, balancer.servers[address], err) }
	expect := func(when, wanted string) {
		t.Helper()
		if found := heard(); found != wanted {
			t.Errorf("%s: %q, wanted %q", when, found, wanted)
		}
	}
	expect("both are up", "1! 2!")
	told(one, errNoAnswer)
	expect("one failure of two", "1! 2!")
	told(one, errNoAnswer)
	expect("the first is down", "2!")
	told(one, nil)
	expect("it is back", "1! 2!")
	balancer.Set(t.Context(), []string{two})
	expect("it was taken away", "2!")
	balancer.Set(t.Context(), nil)
	expect("there is none", "")
}

func TestWhereTooFewAreUpAllAreTried(t *testing.T) {
	for believed, wanted := range map[int][]string{Envoy: {"2! 3!", "1! 2! 3!", "1! 2! 3!"}, 0: {"2! 3!", "3!", "1! 2! 3!"}} {
		servers := []string{speaks(t, "1"), speaks(t, "2"), speaks(t, "3")}
		rules := Rules{Dial: time.Second, Every: time.Hour, Failures: 1, Wins: 1, Believed: believed, Check: never}
		balancer, heard := balancing(t, rules, servers...)
		for i, server := range servers {
			balancer.note(server, balancer.servers[server], errNoAnswer)
			if found := heard(); found != wanted[i] {
				t.Errorf("%d %%, %d are down: %q, wanted %q", believed, i+1, found, wanted[i])
			}
		}
	}
}

func TestAServerIsCheckedByItself(t *testing.T) {
	gone := listen(t)
	address := gone.Addr().String()
	gone.Close()
	rules := Rules{Dial: time.Second, Every: time.Millisecond, Timeout: time.Second, Failures: 1, Wins: 1, Check: Connects}
	balancer, _ := balancing(t, rules, address, speaks(t, "2"))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		balancer.mu.Lock()
		down := balancer.servers[address].down
		balancer.mu.Unlock()
		if down {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never down")
		}
	}
}
