// The lab's stand-in for podinfo, the sample application: its page says what it was told to, and it keeps what is posted
// to it in a folder, under the names that podinfo gives: POST /store, then GET /store/{hash}.
package main

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const most = 1 << 20 // bytes of one thing that is kept

func main() {
	port := flag.Int("port", 9898, "where it listens")
	folder := flag.String("data-path", "/data", "where it keeps what is posted")
	flag.Parse()
	server := http.Server{
		Addr:              fmt.Sprintf(":%d", *port),
		Handler:           pages(*folder, os.Getenv("PODINFO_UI_MESSAGE")),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Printf("the lab's stand-in for podinfo listens on %s and keeps things in %s", server.Addr, *folder)
	log.Fatal(server.ListenAndServe())
}

func pages(folder, message string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"message": message})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "OK"})
	})
	mux.HandleFunc("POST /store", func(w http.ResponseWriter, request *http.Request) {
		content, err := io.ReadAll(http.MaxBytesReader(w, request.Body, most))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		sum := sha1.Sum(content)
		name := hex.EncodeToString(sum[:])
		if err := keep(folder, name, content); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, http.StatusAccepted, map[string]string{"hash": name})
	})
	mux.HandleFunc("GET /store/{hash}", func(w http.ResponseWriter, request *http.Request) {
		name, err := hex.DecodeString(request.PathValue("hash"))
		if err != nil {
			http.Error(w, "no such hash", http.StatusNotFound)
			return
		}
		content, err := os.ReadFile(filepath.Join(folder, hex.EncodeToString(name)))
		if err != nil {
			http.Error(w, "nothing was kept under this hash", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		w.Write(content)
	})
	return mux
}

// A backup that comes meanwhile finds all of it or nothing.
func keep(folder, name string, content []byte) error {
	draft := filepath.Join(folder, "."+name)
	if err := os.WriteFile(draft, content, 0o644); err != nil {
		return err
	}
	return os.Rename(draft, filepath.Join(folder, name))
}

func answer(w http.ResponseWriter, code int, what map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(what)
}
