package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatIsPostedIsThereForTheNextProcess(t *testing.T) {
	folder := t.TempDir()
	first := httptest.NewServer(pages(folder, "out of the vault"))
	answer, err := http.Post(first.URL+"/store", "text/plain", strings.NewReader("swordfish"))
	if err != nil {
		t.Fatal(err)
	}
	var said map[string]string
	json.NewDecoder(answer.Body).Decode(&said)
	first.Close()
	second := httptest.NewServer(pages(folder, ""))
	defer second.Close()
	for path, want := range map[string]string{
		"/store/" + said["hash"]:            "202 swordfish",
		"/store/" + strings.Repeat("0", 40): "404 nothing was kept under this hash\n",
		"/store/..%2fmain.go":               "404 no such hash\n",
	} {
		answer, err := http.Get(second.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		if got := answer.Status[:4] + string(body); got != want {
			t.Errorf("%s: %q, not %q", path, got, want)
		}
	}
}

func TestThePageSaysWhatItWasTold(t *testing.T) {
	recorder := httptest.NewRecorder()
	pages(t.TempDir(), "out of the vault").ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
	if got := recorder.Body.String(); !strings.Contains(got, `"out of the vault"`) {
		t.Errorf("the page says %s", got)
	}
}
