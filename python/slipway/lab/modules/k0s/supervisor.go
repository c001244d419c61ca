package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	firstBackOff = time.Second
	longBackOff  = 10 * time.Second
	// A component that has run this long is healthy: its next failure starts with a short back-off again.
	healthyAfter = 30 * time.Second
	stopGrace    = 10 * time.Second
	// Marks our children, so that a pid file left by a crash never leads to a stranger's end.
	managedMark = "_K0S_MANAGED=yes"
)

// component is one supervised program. It is started again whenever it ends, until stop.
type component struct {
	name string
	argv []string

	cancel context.CancelFunc
	ended  chan struct{}
}

// startComponent looks the program up, ends what a killed k0s left of it, and supervises a new one.
func startComponent(name string, argv ...string) (*component, error) {
	path, err := program(argv[0])
	if err != nil {
		return nil, err
	}
	if err := endStale(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &component{name, append([]string{path}, argv[1:]...), cancel, make(chan struct{})}
	go c.supervise(ctx)
	return c, nil
}

func (c *component) supervise(ctx context.Context) {
	defer close(c.ended)
	defer os.Remove(pidFile(c.name))
	backOff := firstBackOff
	for {
		started := time.Now()
		err := c.runOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > healthyAfter {
			backOff = firstBackOff
		}
		say("%s ended (%v); again in %s", c.name, err, backOff)
		select {
		case <-ctx.Done():
			return
		case <-time.After(backOff):
		}
		backOff = min(2*backOff, longBackOff)
	}
}

// runOnce runs the program to its end; a cancelled context sends TERM and, after a grace, KILL.
func (c *component) runOnce(ctx context.Context) error {
	command := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	command.Env = append(os.Environ(), managedMark)
	// A group of its own: a ^C in a terminal must not reach the components before k0s ends them in order.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopGrace
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return err
	}
	if err := writeFile(pidFile(c.name), []byte(strconv.Itoa(command.Process.Pid)), 0o644); err != nil {
		say("%s: %v", c.name, err)
	}
	prefixLines(c.name, output)
	return command.Wait()
}

func (c *component) stop() {
	say("stopping %s", c.name)
	c.cancel()
	<-c.ended
}

// components remembers the order of starting and stops in the opposite one.
type components []*component

func (all *components) start(name string, argv ...string) error {
	started, err := startComponent(name, argv...)
	if err != nil {
		return err
	}
	*all = append(*all, started)
	return nil
}

// end stops the last one of this name and forgets it.
func (all *components) end(name string) {
	for i := len(*all) - 1; i >= 0; i-- {
		if each := (*all)[i]; each.name == name {
			each.stop()
			*all = slices.Delete(*all, i, i+1)
			return
		}
	}
}

func (all components) stop() {
	for i := len(all) - 1; i >= 0; i-- {
		all[i].stop()
	}
}

// pidDir is a variable for the tests alone.
var pidDir = runDir

func pidFile(name string) string { return filepath.Join(pidDir, name+".pid") }

// endStale ends the process that a killed k0s left behind, so that ports and locks are free for its successor. The
// containers are no children of these and live on.
func endStale(name string) error {
	content, err := os.ReadFile(pidFile(name))
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || !managed(pid) {
		return os.Remove(pidFile(name))
	}
	say("%s: ending process %d of an earlier k0s", name, pid)
	deadline := time.Now().Add(stopGrace)
	_ = syscall.Kill(pid, syscall.SIGTERM)
	for managed(pid) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if time.Now().After(deadline.Add(stopGrace)) {
			return fmt.Errorf("%s: process %d does not end", name, pid)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func managed(pid int) bool {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains(string(environment), managedMark)
}

func prefixLines(name string, from io.Reader) {
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			fmt.Printf("%s: %s\n", name, strings.TrimRight(line, "\n"))
		}
		if err != nil {
			return
		}
	}
}

func say(format string, values ...any) {
	fmt.Printf("k0s: "+format+"\n", values...)
}
