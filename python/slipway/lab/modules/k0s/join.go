package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// k0s gives a join ten tries, each after twice the time of the last, at most a minute: four minutes in all.
const (
	joinTries   = 10
	joinLongest = time.Minute
	// k0s looks every ten seconds; the lab's users wait for it.
	promoteEvery = time.Second
)

// joining speaks to the join API of another controller, with the token that this one was given.
type joining struct{ api *client }

func newJoining(token kubeconfig) (joining, error) {
	api, err := token.client()
	return joining{api}, err
}

// fetchAuthorities writes the cluster's authorities and the service accounts' key to where this controller looks for its own.
func (j joining) fetchAuthorities(ctx context.Context, data dataDir) error {
	say("joining existing cluster via %s", j.api.server)
	var found caResponse
	err := tries(ctx, time.Second, func() error { return j.ask(ctx, http.MethodGet, "/v1beta1/ca", nil, &found) })
	if err != nil {
		return fmt.Errorf("failed to join existing cluster via %s: %w", j.api.server, err)
	}
	return errors.Join(
		makeFolder(data.path("pki"), 0o751),
		writeFile(data.pki("ca.key"), found.Key, 0o600), writeFile(data.pki("ca.crt"), found.Cert, 0o644),
		writeFile(data.pki("sa.key"), found.SAKey, 0o600), writeFile(data.pki("sa.pub"), found.SAPub, 0o644),
	)
}

// joinEtcd makes this machine a member, and returns all of them as etcd wants them at its first start.
func (j joining) joinEtcd(ctx context.Context, data dataDir, name, peer string) (string, error) {
	var found etcdResponse
	err := tries(ctx, time.Second, func() error {
		return j.ask(ctx, http.MethodPost, "/v1beta1/etcd/members", etcdRequest{name, peer}, &found)
	})
	if err != nil {
		return "", fmt.Errorf("failed to sync etcd config: failed to synchronize etcd config with existing cluster via %s: %w", j.api.server, err)
	}
	err = errors.Join(
		writeFile(data.pki("etcd/ca.key"), found.CA.Key, 0o600), writeFile(data.pki("etcd/ca.crt"), found.CA.Cert, 0o644),
	)
	return strings.Join(found.InitialCluster, ","), err
}

func (j joining) ask(ctx context.Context, method, path string, question, into any) error {
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(bounded, method, j.api.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+j.api.token)
	response, err := j.api.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(said)))
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// tries does it until it works, at most joinTries times; the pause doubles each time.
func tries(ctx context.Context, pause time.Duration, do func() error) error {
	for left := joinTries; ; left-- {
		err := do()
		if err == nil || left == 1 {
			return err
		}
		say("not yet: %v; again in %s", err, pause)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, joinLongest)
	}
}

// initialCluster is what etcd needs at its first start, and only then: itself alone, or all whom it joins.
func (c *controller) initialCluster(ctx context.Context, peer string) (members, state string, err error) {
	if c.join == nil || c.data.founded() {
		return c.hostname + "=" + peer, "new", nil
	}
	members, err = c.join.joinEtcd(ctx, c.data, c.hostname, peer)
	return members, "existing", err
}

// promoteLearners makes voters of learners that have caught up. Every controller tries; etcd promotes each once.
func promoteLearners(ctx context.Context, etcd etcdHTTP) {
	for ctx.Err() == nil {
		members, err := etcd.members(ctx)
		for _, each := range members {
			// One that has no name yet has not been started.
			if err == nil && each.IsLearner && each.Name != "" && etcd.promote(ctx, each) == nil {
				say("promoted learner %s to voting member", each.Name)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(promoteEvery):
		}
	}
}
