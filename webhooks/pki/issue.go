package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Types of PEM blocks.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// serialBits is the size of serial numbers: random ones of 128 bits do not meet.
const serialBits = 128

// Pair is a certificate and its private key, both PEM-encoded, the key as PKCS #8.
type Pair struct {
	Cert []byte
	Key  []byte
}

// Names are what a leaf is valid for. The first DNS name, or else the first address, is its common name.
type Names struct {
	DNS []string
	IPs []net.IP
}

// ServiceNames are the names by which a Service is called within a cluster.
func ServiceNames(service, namespace string) Names {
	name := service + "." + namespace + ".svc"
	return Names{DNS: []string{name, name + ".cluster.local", service + "." + namespace}}
}

// all are the names in the form in which certificates are verified against them.
func (n Names) all() []string {
	names := append([]string(nil), n.DNS...)
	for _, ip := range n.IPs {
		names = append(names, ip.String())
	}
	return names
}

// NewCA makes a certificate authority that signs itself, with an ECDSA P-256 key. The error is that of the system's
// random numbers.
func NewCA(commonName string, now time.Time, policy Policy) (Pair, error) {
	key, template, err := newTemplate(commonName, now, policy.Backdate, policy.CALifetime)
	if err != nil {
		return Pair{}, fmt.Errorf("making the CA %s: %w", commonName, err)
	}
	template.IsCA, template.MaxPathLenZero = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	pair, err := sign(template, template, key, key)
	if err != nil {
		return Pair{}, fmt.Errorf("making the CA %s: %w", commonName, err)
	}
	return pair, nil
}

// Issue makes a leaf for a server. It does not outlive the CA. It fails with the reasons of [CheckCA] when the CA is
// none.
func Issue(ca Pair, names Names, now time.Time, policy Policy) (Pair, error) {
	issuer, err := CheckCA(ca, now)
	if err != nil {
		return Pair{}, fmt.Errorf("issuing a certificate: %w", err)
	}
	signer, err := parseKey(ca.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("issuing a certificate: %w", err)
	}
	commonName := ""
	if all := names.all(); len(all) > 0 {
		commonName = all[0]
	}
	if len(commonName) > maxCommonName {
		commonName = "" // RFC 5280, ub-common-name; the name still is among the alternative names
	}
	key, template, err := newTemplate(commonName, now, policy.Backdate, policy.LeafLifetime)
	if err != nil {
		return Pair{}, fmt.Errorf("issuing a certificate: %w", err)
	}
	if template.NotAfter.After(issuer.NotAfter) {
		template.NotAfter = issuer.NotAfter
	}
	if template.NotBefore.Before(issuer.NotBefore) {
		template.NotBefore = issuer.NotBefore
	}
	template.DNSNames, template.IPAddresses = names.DNS, names.IPs
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	pair, err := sign(template, issuer, key, signer)
	if err != nil {
		return Pair{}, fmt.Errorf("issuing a certificate: %w", err)
	}
	return pair, nil
}

// maxCommonName is the greatest length of a common name.
const maxCommonName = 64

func newTemplate(commonName string, now time.Time, backdate, life time.Duration) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, nil, fmt.Errorf("making a serial number: %w", err)
	}
	return key, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life), BasicConstraintsValid: true,
	}, nil
}

func sign(template, issuer *x509.Certificate, key, signer *ecdsa.PrivateKey) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return Pair{}, fmt.Errorf("signing: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encoding the key: %w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: keyDER}),
	}, nil
}
