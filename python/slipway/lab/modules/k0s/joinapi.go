package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// The bodies of k0s's own API (pkg/apis/k0s/v1beta1/controltypes.go); Go writes bytes as base64.
type (
	caResponse struct {
		Key   []byte `json:"key"`
		Cert  []byte `json:"cert"`
		SAKey []byte `json:"saKey"`
		SAPub []byte `json:"saPub"`
	}
	etcdRequest struct {
		Node        string `json:"node"`
		PeerAddress string `json:"peerAddress"`
	}
	etcdResponse struct {
		CA             caResponse `json:"ca"`
		InitialCluster []string   `json:"initialCluster"`
	}
)

// joinAPI is what a controller offers to those that join: the authorities, and a place in etcd.
type joinAPI struct {
	data dataDir
	api  *client
}

// startJoinAPI serves until the program ends, as `k0s api` does beside a controller. A single node has none: nobody can join it.
func (c *controller) startJoinAPI() error {
	if c.single || c.config.Spec.Storage.Type != "etcd" {
		return nil
	}
	api, err := c.adminClient()
	if err != nil {
		return err
	}
	address := ""
	if c.config.Spec.API.OnlyBindToAddress {
		address = c.config.Spec.API.Address
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(c.config.Spec.API.K0sAPIPort)))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: joinAPI{c.data, api}.routes(), ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second}
	go func() {
		say("join API: %v", server.ServeTLS(listener, c.data.pki("k0s-api.crt"), c.data.pki("k0s-api.key")))
	}()
	return nil
}

func (j joinAPI) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /v1beta1/ca", j.guarded(j.authorities))
	routes.HandleFunc("POST /v1beta1/etcd/members", j.guarded(j.addMember))
	return routes
}

// guarded lets those pass who hold the token of a controller, and answers as k0s does.
func (j joinAPI) guarded(next func(*http.Request) (any, error)) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		token, given := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
		if !given || !j.mayJoin(request.Context(), token) {
			http.Error(answer, "go away", http.StatusUnauthorized)
			return
		}
		found, err := next(request)
		if err != nil {
			say("join API: %s: %v", request.URL.Path, err)
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(found)
	}
}

func (j joinAPI) mayJoin(ctx context.Context, token string) bool {
	id, secret, whole := strings.Cut(token, ".")
	if !whole || !tokenID(id) {
		return false
	}
	found, err := j.api.get(ctx, tokenSecrets+"/bootstrap-token-"+id)
	if err != nil {
		return false
	}
	data, _ := found["data"].(object)
	return controllerToken(data, secret, time.Now())
}

// tokenID keeps what is no ID out of the path that it becomes part of.
func tokenID(text string) bool {
	return len(text) == 6 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// controllerToken tells whether this stored token has that secret, lets controllers join, and has not run out.
func controllerToken(data object, secret string, now time.Time) bool {
	if secret == "" || secretValue(data, "token-secret") != secret || secretValue(data, "usage-controller-join") != "true" {
		return false
	}
	expiry := secretValue(data, "expiration")
	if expiry == "" {
		return true
	}
	until, err := time.Parse(time.RFC3339, expiry)
	return err == nil && now.Before(until)
}

func (j joinAPI) authorities(*http.Request) (any, error) {
	return j.read("ca.key", "ca.crt", "sa.key", "sa.pub")
}

// read returns a key and a certificate and, where they are named, the pair of the service accounts.
func (j joinAPI) read(key, cert string, accounts ...string) (caResponse, error) {
	var found caResponse
	var failures []error
	into := []*[]byte{&found.Key, &found.Cert, &found.SAKey, &found.SAPub}
	for place, name := range append([]string{key, cert}, accounts...) {
		content, err := os.ReadFile(j.data.pki(name))
		*into[place], failures = content, append(failures, err)
	}
	return found, errors.Join(failures...)
}

// addMember makes room in etcd for the controller that asks: as a learner, which does not vote before it has caught up.
func (j joinAPI) addMember(request *http.Request) (any, error) {
	var wanted etcdRequest
	if err := json.NewDecoder(request.Body).Decode(&wanted); err != nil {
		return nil, err
	}
	if wanted.Node == "" || wanted.PeerAddress == "" {
		return nil, errors.New("node and peerAddress are required")
	}
	etcd, err := etcdClient(j.data)
	if err != nil {
		return nil, err
	}
	say("etcd API, adding new learner member: %s", wanted.PeerAddress)
	initial, err := etcd.addLearner(request.Context(), wanted.Node, wanted.PeerAddress)
	if err != nil {
		return nil, err
	}
	ca, err := j.read("etcd/ca.key", "etcd/ca.crt")
	return etcdResponse{ca, initial}, err
}
