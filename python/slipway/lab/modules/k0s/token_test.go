package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func workerToken() kubeconfig {
	return newKubeconfig("https://10.0.0.11:6443", []byte("CA"), workerTokenUser, credentials{Token: "abcdef.0123456789abcdef"})
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestATokenSurvivesItsWay(t *testing.T) {
	token, err := readToken(write(t, encodeToken(workerToken())+"\n"), workerTokenUser)
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := token.ca()
	if token.token() != "abcdef.0123456789abcdef" || token.server() != "https://10.0.0.11:6443" || string(ca) != "CA" {
		t.Errorf("%+v", token)
	}
}

func TestTokensThatCannotServeAreNamed(t *testing.T) {
	for name, each := range map[string]struct{ file, user, wanted string }{
		"missing": {filepath.Join(t.TempDir(), "none"), workerTokenUser, "cannot read its token"},
		"empty":   {write(t, "\n"), workerTokenUser, "is empty"},
		"torn":    {write(t, "H4sI"), workerTokenUser, "join token"},
		"other":   {write(t, encodeToken(workerToken())), controllerTokenUser, "wrong token type kubelet-bootstrap"},
	} {
		_, err := readToken(each.file, each.user)
		if err == nil || !strings.Contains(err.Error(), each.wanted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRandomTextIsABootstrapToken(t *testing.T) {
	text := randomText(6) + "." + randomText(16)
	if !regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`).MatchString(text) || randomText(16) == randomText(16) {
		t.Error(text)
	}
}

// A controller founds only without data and without a token file; k0s's rule that slipway's defence rests on.
func TestWhoMayStart(t *testing.T) {
	empty := write(t, "")
	founded := dataDir(t.TempDir())
	if err := writeFile(founded.path("etcd", "member", "snap", "db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, each := range map[string]struct {
		data  dataDir
		given bool
		may   bool
	}{
		"founds":                      {dataDir(t.TempDir()), false, true},
		"has lost its data":           {dataDir(t.TempDir()), true, false},
		"goes on with an empty token": {founded, true, true},
		"goes on":                     {founded, false, true},
	} {
		err := (&controller{data: each.data}).mayStart(empty, each.given)
		if (err == nil) != each.may {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAJoinedWorkerDoesNotReadItsToken(t *testing.T) {
	w := &worker{data: dataDir(t.TempDir())}
	if _, err := w.joinToken(write(t, "")); err == nil {
		t.Error("an empty token joined")
	}
	if err := writeFile(w.data.kubeletConfig(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if token, err := w.joinToken("/nonexistent"); token != nil || err != nil {
		t.Errorf("%v, %v", token, err)
	}
}
