package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
	"time"
)

const etcdClientURL = "https://127.0.0.1:2379"

// makeEtcdPKI gives etcd an authority of its own: whoever it signs reads everything.
func (c *controller) makeEtcdPKI() error {
	ca, err := loadAuthority(c.data.pki("etcd/ca"), "etcd-ca")
	if err != nil {
		return err
	}
	client, server := x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	names := []string{c.hostname, "localhost", "127.0.0.1", c.config.Spec.Storage.Etcd.PeerAddress}
	subject := func(name string) pkix.Name { return pkix.Name{CommonName: name} }
	return errors.Join(
		ca.issue(c.data.pki("etcd/server"), subject("etcd-server"), names, server, client),
		ca.issue(c.data.pki("etcd/peer"), subject(c.hostname), names, server, client),
		ca.issue(c.data.pki("apiserver-etcd-client"), subject("apiserver-etcd-client"), nil, client),
	)
}

// startEtcd joins the others first where it has to: the authority that signs this member is theirs then.
func (c *controller) startEtcd(ctx context.Context) error {
	etcd, pki := c.config.Spec.Storage.Etcd, c.data.pki
	peer := "https://" + net.JoinHostPort(etcd.PeerAddress, "2380")
	members, state, err := c.initialCluster(ctx, peer)
	if err != nil {
		return err
	}
	if err := c.makeEtcdPKI(); err != nil {
		return err
	}
	arguments := flags{
		"advertise-client-urls":       etcdClientURL,
		"cert-file":                   pki("etcd/server.crt"),
		"client-cert-auth":            "true",
		"data-dir":                    c.data.etcdData(),
		"initial-advertise-peer-urls": peer,
		"initial-cluster":             members,
		"initial-cluster-state":       state,
		"key-file":                    pki("etcd/server.key"),
		"listen-client-urls":          etcdClientURL,
		"listen-peer-urls":            peer,
		"log-level":                   "warn",
		"name":                        c.hostname,
		"peer-cert-file":              pki("etcd/peer.crt"),
		"peer-client-cert-auth":       "true",
		"peer-key-file":               pki("etcd/peer.key"),
		"peer-trusted-ca-file":        pki("etcd/ca.crt"),
		"trusted-ca-file":             pki("etcd/ca.crt"),
	}
	if err := c.startWith("etcd", arguments, etcd.extraArgs); err != nil {
		return err
	}
	api, err := etcdClient(c.data)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	err = until(bounded, "etcd", 50*time.Millisecond, func() error {
		return api.call(bounded, http.MethodGet, "/health", nil, nil)
	})
	if err == nil {
		go promoteLearners(ctx, api)
	}
	return err
}

// etcdHTTP speaks to etcd's JSON gateway with the API server's certificate.
type etcdHTTP struct{ http *http.Client }

func etcdClient(data dataDir) (etcdHTTP, error) {
	pair, err := tls.LoadX509KeyPair(data.pki("apiserver-etcd-client.crt"), data.pki("apiserver-etcd-client.key"))
	if err != nil {
		return etcdHTTP{}, err
	}
	ca, err := os.ReadFile(data.pki("etcd/ca.crt"))
	if err != nil {
		return etcdHTTP{}, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	settings := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	transport := &http.Transport{TLSClientConfig: settings}
	return etcdHTTP{&http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

// call sends a question as JSON, and decodes the answer into `into` where one is given.
func (e etcdHTTP) call(ctx context.Context, method, path string, question, into any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, etcdClientURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := e.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var said struct{ Message string }
		_ = json.NewDecoder(response.Body).Decode(&said) // /health answers otherwise
		return fmt.Errorf("etcd: %s: %s %s", path, response.Status, said.Message)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// member is one of etcd's; its ID is a number of 64 bits, which the gateway writes as text.
type member struct {
	ID        string   `json:"ID"`
	Name      string   `json:"name"`
	PeerURLs  []string `json:"peerURLs"`
	IsLearner bool     `json:"isLearner"`
}

func (e etcdHTTP) members(ctx context.Context) ([]member, error) {
	var answer struct {
		Members []member `json:"members"`
	}
	err := e.call(ctx, http.MethodPost, "/v3/cluster/member/list", object{}, &answer)
	return answer.Members, err
}

// membersAtLast never ends on a controller that has left, as with k0s: etcd does not run there, and its client waits for it.
func (e etcdHTTP) membersAtLast(ctx context.Context) ([]member, error) {
	for {
		found, err := e.members(ctx)
		if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			return found, err
		}
		time.Sleep(time.Second)
	}
}

// addLearner makes room for a member, and returns NAME=URL of all: the new one is not known to etcd by its name yet.
func (e etcdHTTP) addLearner(ctx context.Context, name, peer string) ([]string, error) {
	var answer struct {
		Member  member   `json:"member"`
		Members []member `json:"members"`
	}
	question := object{"peerURLs": []string{peer}, "isLearner": true}
	if err := e.call(ctx, http.MethodPost, "/v3/cluster/member/add", question, &answer); err != nil {
		return nil, fmt.Errorf("etcd member add as learner failed: %w", err)
	}
	var all []string
	for _, each := range answer.Members {
		if each.ID == answer.Member.ID {
			each.Name = name
		}
		all = append(all, each.Name+"="+each.PeerURLs[0])
	}
	return all, nil
}

func (e etcdHTTP) promote(ctx context.Context, learner member) error {
	return e.call(ctx, http.MethodPost, "/v3/cluster/member/promote", object{"ID": learner.ID}, nil)
}

// remove takes the member with this peer URL out of the cluster.
func (e etcdHTTP) remove(ctx context.Context, peer string) error {
	members, err := e.members(ctx)
	if err != nil {
		return err
	}
	for _, each := range members {
		if slices.Contains(each.PeerURLs, peer) {
			return e.call(ctx, http.MethodPost, "/v3/cluster/member/remove", object{"ID": each.ID}, nil)
		}
	}
	return fmt.Errorf("peer not found: %s", peer)
}

func runningEtcd() (statusReport, etcdHTTP, error) {
	status, err := runningController()
	if err != nil {
		return status, etcdHTTP{}, err
	}
	if kind := status.ClusterConfig.Spec.Storage.Type; kind != "etcd" {
		return status, etcdHTTP{}, fmt.Errorf("wrong storage type: %s", kind)
	}
	api, err := etcdClient(status.data())
	return status, api, err
}

// printMembers prints {"members": {name: peer URL}}, as k0s does.
func printMembers(arguments []string) error {
	if err := parseFlags(newFlags("k0s etcd member-list"), arguments); err != nil {
		return err
	}
	_, api, err := runningEtcd()
	if err != nil {
		return err
	}
	found, err := api.membersAtLast(context.Background())
	if err != nil {
		return fmt.Errorf("can't list etcd cluster members: %w", err)
	}
	members := map[string]string{}
	for _, each := range found {
		members[each.Name] = each.PeerURLs[0]
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"members": members})
}

// leaveEtcd removes a member, this controller's own where no address is given.
func leaveEtcd(arguments []string) error {
	set := newFlags("k0s etcd leave")
	address := set.String("peer-address", "", "etcd peer address to remove (default <this node's peer address>)")
	if err := parseFlags(set, arguments); err != nil {
		return err
	}
	status, api, err := runningEtcd()
	if err != nil {
		return err
	}
	if *address == "" {
		*address = status.ClusterConfig.Spec.Storage.Etcd.PeerAddress
	}
	return api.remove(context.Background(), "https://"+net.JoinHostPort(*address, "2380"))
}
