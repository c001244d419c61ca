package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
)

// authority is a certificate authority kept as <name>.crt and <name>.key.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pem         []byte
}

// loadAuthority reads the authority at the path without its ending, or makes it.
func loadAuthority(path, commonName string) (authority, error) {
	if exists(path+".crt") && exists(path+".key") {
		return readAuthority(path)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if err := writePair(path, template, nil, authorityLife); err != nil {
		return authority{}, err
	}
	return readAuthority(path)
}

func readAuthority(path string) (authority, error) {
	certificate, err := os.ReadFile(path + ".crt")
	if err != nil {
		return authority{}, err
	}
	key, err := os.ReadFile(path + ".key")
	if err != nil {
		return authority{}, err
	}
	certificateBlock, _ := pem.Decode(certificate)
	keyBlock, _ := pem.Decode(key)
	if certificateBlock == nil || keyBlock == nil {
		return authority{}, fmt.Errorf("%s.crt, %s.key: not PEM", path, path)
	}
	parsed, err := x509.ParseCertificate(certificateBlock.Bytes)
	parsedKey, keyErr := x509.ParseECPrivateKey(keyBlock.Bytes)
	return authority{parsed, parsedKey, certificate}, errors.Join(err, keyErr)
}

// issue writes path.crt and path.key anew: leaves are cheap, and a new one at every start always has the right names
// and never runs out.
func (a authority) issue(path string, subject pkix.Name, names []string, usages ...x509.ExtKeyUsage) error {
	template := &x509.Certificate{Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usages}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return writePair(path, template, &a, certificateLife)
}

// writePair makes a key and a certificate for it, signed by the authority or, without one, by itself.
func writePair(path string, template *x509.Certificate, by *authority, life time.Duration) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	// Clocks of machines differ a little; a certificate of the future would be refused.
	template.NotBefore = time.Now().Add(-5 * time.Minute)
	template.NotAfter = template.NotBefore.Add(life)
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	if err := writeKey(path+".key", key); err != nil {
		return err
	}
	return writeFile(path+".crt", encodePEM("CERTIFICATE", der), 0o644)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, encodePEM("EC PRIVATE KEY", der), 0o600)
}

// ensureKeyPair makes the key pair of the service accounts once: changing it would end every token in the cluster.
func ensureKeyPair(path string) error {
	if exists(path+".key") && exists(path+".pub") {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writeKey(path+".key", key); err != nil {
		return err
	}
	return writeFile(path+".pub", encodePEM("PUBLIC KEY", public), 0o644)
}

func encodePEM(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

// localAddresses are this machine's own, loopback left out, in the order of its interfaces.
func localAddresses() []string {
	var found []string
	addresses, _ := net.InterfaceAddrs()
	for _, each := range addresses {
		if network, ok := each.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			found = append(found, network.IP.String())
		}
	}
	return found
}

func firstAddress() string {
	if addresses := localAddresses(); len(addresses) > 0 {
		return addresses[0]
	}
	return "127.0.0.1"
}
