package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// kubeconfig is the file format, as much of it as k0s and the kubelet write. Bytes are base64 in YAML, which the base64
// type of Kubernetes does by itself and YAML does not; hence strings and the helper encode64.
type kubeconfig struct {
	APIVersion     string         `yaml:"apiVersion"`
	Kind           string         `yaml:"kind"`
	CurrentContext string         `yaml:"current-context"`
	Clusters       []namedCluster `yaml:"clusters"`
	Contexts       []namedContext `yaml:"contexts"`
	Users          []namedUser    `yaml:"users"`
}

type namedCluster struct {
	Name    string `yaml:"name"`
	Cluster struct {
		Server string `yaml:"server"`
		CAData string `yaml:"certificate-authority-data"`
	} `yaml:"cluster"`
}

type namedContext struct {
	Name    string `yaml:"name"`
	Context struct {
		Cluster string `yaml:"cluster"`
		User    string `yaml:"user"`
	} `yaml:"context"`
}

type namedUser struct {
	Name string      `yaml:"name"`
	User credentials `yaml:"user"`
}

type credentials struct {
	Token           string `yaml:"token,omitempty"`
	CertificateData string `yaml:"client-certificate-data,omitempty"`
	KeyData         string `yaml:"client-key-data,omitempty"`
	CertificateFile string `yaml:"client-certificate,omitempty"`
	KeyFile         string `yaml:"client-key,omitempty"`
}

// newKubeconfig makes the one-cluster, one-user form with k0s's names; the context is called like the cluster.
func newKubeconfig(server string, ca []byte, user string, as credentials) kubeconfig {
	cluster := namedCluster{Name: "k0s"}
	cluster.Cluster.Server, cluster.Cluster.CAData = server, encode64(ca)
	context := namedContext{Name: "k0s"}
	context.Context.Cluster, context.Context.User = "k0s", user
	return kubeconfig{
		APIVersion: "v1", Kind: "Config", CurrentContext: "k0s",
		Clusters: []namedCluster{cluster}, Contexts: []namedContext{context}, Users: []namedUser{{user, as}},
	}
}

// named gives cluster and context other names than those of join tokens.
func (k kubeconfig) named(cluster, context string) kubeconfig {
	k.Clusters[0].Name, k.Contexts[0].Name, k.CurrentContext = cluster, context, context
	k.Contexts[0].Context.Cluster = cluster
	return k
}

// certificateKubeconfig uses the pair at the path without its ending.
func certificateKubeconfig(server string, ca []byte, user, pair string) (kubeconfig, error) {
	certificate, err := os.ReadFile(pair + ".crt")
	key, keyErr := os.ReadFile(pair + ".key")
	as := credentials{CertificateData: encode64(certificate), KeyData: encode64(key)}
	return newKubeconfig(server, ca, user, as), errors.Join(err, keyErr)
}

func (k kubeconfig) bytes() []byte {
	content, err := yaml.Marshal(k)
	if err != nil {
		panic(err) // plain strings always marshal
	}
	return content
}

func parseKubeconfig(content []byte) (kubeconfig, error) {
	var parsed kubeconfig
	if err := yaml.Unmarshal(content, &parsed); err != nil {
		return parsed, err
	}
	if len(parsed.Clusters) != 1 || len(parsed.Users) != 1 {
		return parsed, fmt.Errorf("kubeconfig: one cluster and one user expected, found %d and %d",
			len(parsed.Clusters), len(parsed.Users))
	}
	return parsed, nil
}

func readKubeconfig(path string) (kubeconfig, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return kubeconfig{}, err
	}
	parsed, err := parseKubeconfig(content)
	if err != nil {
		return parsed, fmt.Errorf("%s: %w", path, err)
	}
	return parsed, nil
}

// at returns the same one for another server; the original stays as it is.
func (k kubeconfig) at(server string) kubeconfig {
	k.Clusters = slices.Clone(k.Clusters)
	k.Clusters[0].Cluster.Server = server
	return k
}

func (k kubeconfig) server() string { return k.Clusters[0].Cluster.Server }
func (k kubeconfig) user() string   { return k.Users[0].Name }
func (k kubeconfig) token() string  { return k.Users[0].User.Token }

func (k kubeconfig) ca() ([]byte, error) { return decode64(k.Clusters[0].Cluster.CAData) }

// client speaks to the API server as the kubeconfig's user.
func (k kubeconfig) client() (*client, error) {
	ca, err := k.ca()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("kubeconfig: no certificate in certificate-authority-data")
	}
	settings := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if k.token() == "" {
		pair, err := k.Users[0].User.pair()
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: settings}
	return &client{k.server(), k.token(), &http.Client{Transport: transport, Timeout: 10 * time.Second}}, nil
}

func (c credentials) pair() (tls.Certificate, error) {
	if c.CertificateFile != "" {
		return tls.LoadX509KeyPair(c.CertificateFile, c.KeyFile)
	}
	certificate, err := decode64(c.CertificateData)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := decode64(c.KeyData)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, key)
}
