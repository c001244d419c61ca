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

func (c *controller) startEtcd(ctx context.Context) error {
	etcd, pki := c.config.Spec.Storage.Etcd, c.data.pki
	peer := "https://" + net.JoinHostPort(etcd.PeerAddress, "2380")
	if err := os.MkdirAll(c.data.etcdData(), 0o700); err != nil {
		return err
	}
	arguments := flags{
		"advertise-client-urls":       etcdClientURL,
		"cert-file":                   pki("etcd/server.crt"),
		"client-cert-auth":            "true",
		"data-dir":                    c.data.etcdData(),
		"initial-advertise-peer-urls": peer,
		"initial-cluster":             c.hostname + "=" + peer,
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
	return until(bounded, "etcd", 50*time.Millisecond, func() error {
		return api.call(bounded, http.MethodGet, "/health", nil)
	})
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

// call decodes the answer into `into` where one is given.
func (e etcdHTTP) call(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, etcdClientURL+path, bytes.NewReader([]byte("{}")))
	if err != nil {
		return err
	}
	response, err := e.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: %s: %s", path, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// printMembers prints {"members": {name: peer URL}}, as k0s does.
func printMembers([]string) error {
	status, err := runningController()
	if err != nil {
		return err
	}
	api, err := etcdClient(status.data())
	if err != nil {
		return err
	}
	var answer struct {
		Members []struct {
			Name     string   `json:"name"`
			PeerURLs []string `json:"peerURLs"`
		} `json:"members"`
	}
	if err := api.call(context.Background(), http.MethodPost, "/v3/cluster/member/list", &answer); err != nil {
		return err
	}
	members := map[string]string{}
	for _, member := range answer.Members {
		members[member.Name] = member.PeerURLs[0]
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"members": members})
}
