package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

func encode64(content []byte) string       { return base64.StdEncoding.EncodeToString(content) }
func decode64(text string) ([]byte, error) { return base64.StdEncoding.DecodeString(text) }

// client is the little of a Kubernetes client that k0s needs.
type client struct {
	server string
	token  string
	http   *http.Client
}

// object is any Kubernetes object or list, as JSON.
type object = map[string]any

// apiError is an answer outside 2xx.
type apiError struct {
	status  int
	message string
}

func (e *apiError) Error() string { return fmt.Sprintf("API server: %d: %s", e.status, e.message) }

// do sends one request and decodes the answer into an object; a plain text answer is left out.
func (c *client) do(ctx context.Context, method, path, contentType string, body []byte) (object, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer object
	_ = json.Unmarshal(content, &answer) // /readyz answers in plain text
	if response.StatusCode >= 300 {
		message, _ := answer["message"].(string)
		return nil, &apiError{response.StatusCode, message}
	}
	return answer, nil
}

func (c *client) get(ctx context.Context, path string) (object, error) {
	return c.do(ctx, http.MethodGet, path, "", nil)
}

func (c *client) create(ctx context.Context, path string, what object) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, path, "application/json", body)
	return err
}

func (c *client) delete(ctx context.Context, path string) error {
	_, err := c.do(ctx, http.MethodDelete, path, "", nil)
	return err
}

// apply is a server-side apply under k0s's name; what others changed in fields of ours is taken back.
func (c *client) apply(ctx context.Context, path string, manifest []byte) error {
	_, err := c.do(ctx, http.MethodPatch, path+"?fieldManager=k0s&force=true", "application/apply-patch+yaml", manifest)
	return err
}

// until tries again until it works or the context ends; a new error is said once.
func until(ctx context.Context, what string, interval time.Duration, try func() error) error {
	last := ""
	for {
		err := try()
		if err == nil {
			return nil
		}
		if err.Error() != last {
			last = err.Error()
			say("%s: not yet: %s", what, last)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; last: %s", what, context.Cause(ctx), last)
		case <-time.After(interval):
		}
	}
}
