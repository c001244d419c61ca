package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// stored makes the Secret of a token, as the API server answers it.
func stored(fields map[string]string) object {
	data := object{}
	for key, value := range fields {
		data[key] = encode64([]byte(value))
	}
	return object{"data": data}
}

// joinServer is a join API over an API server that has these tokens, by ID.
func joinServer(t *testing.T, tokens map[string]object) (*httptest.Server, dataDir) {
	t.Helper()
	kubernetes := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		found, there := tokens[strings.TrimPrefix(request.URL.Path, tokenSecrets+"/bootstrap-token-")]
		if !there {
			http.Error(answer, `{"message": "not found"}`, http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(answer).Encode(found)
	}))
	t.Cleanup(kubernetes.Close)
	data := dataDir(t.TempDir())
	for _, name := range []string{"ca.key", "ca.crt", "sa.key", "sa.pub"} {
		if err := writeFile(data.pki(name), []byte("the "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	served := httptest.NewServer(joinAPI{data, &client{kubernetes.URL, "", http.DefaultClient}}.routes())
	t.Cleanup(served.Close)
	return served, data
}

func controllerSecret() map[string]string {
	return map[string]string{
		"token-secret": "0123456789abcdef", "usage-controller-join": "true",
		"expiration": time.Now().Add(time.Minute).UTC().Format(time.RFC3339),
	}
}

func TestAControllersTokenBringsTheAuthorities(t *testing.T) {
	served, _ := joinServer(t, map[string]object{"abcdef": stored(controllerSecret())})
	mine := dataDir(t.TempDir())
	join := joining{&client{served.URL, "abcdef.0123456789abcdef", http.DefaultClient}}
	if err := join.fetchAuthorities(context.Background(), mine); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"ca.key": 0o600, "ca.crt": 0o644, "sa.key": 0o600, "sa.pub": 0o644} {
		content, _ := os.ReadFile(mine.pki(name))
		about, err := os.Stat(mine.pki(name))
		if err != nil || !bytes.Equal(content, []byte("the "+name)) || about.Mode().Perm() != mode {
			t.Errorf("%s: %q %v", name, content, err)
		}
	}
}

func TestWhoeverHoldsNoControllersTokenGoesAway(t *testing.T) {
	worker, old := controllerSecret(), controllerSecret()
	worker["usage-controller-join"] = "false"
	old["expiration"] = time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	served, _ := joinServer(t, map[string]object{
		"abcdef": stored(controllerSecret()), "worker": stored(worker), "expire": stored(old), "nokey0": stored(map[string]string{"usage-controller-join": "true"}),
	})
	for name, each := range map[string]struct {
		authorization string
		status        int
	}{
		"right":        {"Bearer abcdef.0123456789abcdef", http.StatusOK},
		"none":         {"", http.StatusUnauthorized},
		"other scheme": {"Basic abcdef.0123456789abcdef", http.StatusUnauthorized},
		"wrong secret": {"Bearer abcdef.0123456789abcdee", http.StatusUnauthorized},
		"no secret":    {"Bearer nokey0.", http.StatusUnauthorized},
		"unknown":      {"Bearer zzzzzz.0123456789abcdef", http.StatusUnauthorized},
		"no ID":        {"Bearer ../../x.0123456789abcdef", http.StatusUnauthorized},
		"a worker's":   {"Bearer worker.0123456789abcdef", http.StatusUnauthorized},
		"run out":      {"Bearer expire.0123456789abcdef", http.StatusUnauthorized},
	} {
		request, _ := http.NewRequest(http.MethodGet, served.URL+"/v1beta1/ca", nil)
		request.Header.Set("Authorization", each.authorization)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != each.status {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
}

func TestOtherPathsAndMethodsAreNotServed(t *testing.T) {
	served, _ := joinServer(t, nil)
	for path, status := range map[string]int{"/v1beta1/ca": http.StatusMethodNotAllowed, "/v1beta1/kubelet": http.StatusNotFound} {
		answer, err := http.Post(served.URL+path, "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != status {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestAJoinIsTriedTenTimes(t *testing.T) {
	count := 0
	refused := func() error { count++; return errors.New("no") }
	if err := tries(context.Background(), 0, refused); err == nil || count != 10 {
		t.Errorf("%d tries: %v", count, err)
	}
	count = 0
	second := func() error {
		if count++; count < 2 {
			return errors.New("no")
		}
		return nil
	}
	if err := tries(context.Background(), 0, second); err != nil || count != 2 {
		t.Errorf("%d tries: %v", count, err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := tries(ended, time.Hour, refused); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAControllerWithDataNeverJoins(t *testing.T) {
	data := dataDir(t.TempDir())
	if err := writeFile(data.path("etcd", "member", "snap", "db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	token := newKubeconfig("https://127.0.0.1:1", nil, controllerTokenUser, credentials{Token: "abcdef.0123456789abcdef"})
	c := &controller{data: data, hostname: "cp2"}
	if err := c.mayStart(write(t, encodeToken(token)), true); err != nil || c.join != nil {
		t.Fatalf("%v %v", err, c.join)
	}
	members, state, err := c.initialCluster(context.Background(), "https://10.0.0.12:2380")
	if members != "cp2=https://10.0.0.12:2380" || state != "new" || err != nil {
		t.Errorf("%s %s %v", members, state, err)
	}
}
