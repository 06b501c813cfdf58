package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Why a certificate cannot be used.
var (
	// ErrAbsent says that there is none.
	ErrAbsent = errors.New("there is no certificate")
	// ErrMalformed says that certificate or key is no PEM, or not of the kind that this package makes.
	ErrMalformed = errors.New("malformed certificate or key")
	// ErrMismatch says that the key is not the certificate's.
	ErrMismatch = errors.New("the key does not belong to the certificate")
	// ErrNotCA says that the certificate may not sign others.
	ErrNotCA = errors.New("the certificate is no CA's")
	// ErrExpired says that the certificate is not valid at this time.
	ErrExpired = errors.New("the certificate is not valid at this time")
	// ErrUntrusted says that the certificate is not signed by one of the CAs of the bundle.
	ErrUntrusted = errors.New("the certificate is signed by no trusted CA")
	// ErrWrongName says that the certificate is not valid for a name that callers use.
	ErrWrongName = errors.New("the certificate is not valid for the name")
)

// CheckCA returns the certificate of a CA that can sign at this time. It fails with [ErrAbsent], [ErrMalformed],
// [ErrMismatch], [ErrNotCA] or [ErrExpired]. No error carries any of the key.
func CheckCA(ca Pair, now time.Time) (*x509.Certificate, error) {
	cert, err := parsePair(ca)
	switch {
	case err != nil:
		return nil, err
	case !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, ErrNotCA
	case !validAt(cert, now):
		return nil, ErrExpired
	}
	if _, err := parseKey(ca.Key); err != nil {
		return nil, err
	}
	return cert, nil
}

// CheckLeaf returns the certificate of a leaf that callers who trust the bundle accept at this time under each of the
// names. It fails with [ErrAbsent], [ErrMalformed], [ErrMismatch], [ErrExpired], [ErrUntrusted] or [ErrWrongName].
func CheckLeaf(leaf Pair, bundle []*x509.Certificate, names Names, now time.Time) (*x509.Certificate, error) {
	cert, err := parsePair(leaf)
	if err != nil {
		return nil, err
	}
	if !validAt(cert, now) {
		return cert, ErrExpired
	}
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: pool(bundle), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return cert, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	for _, name := range names.all() {
		if err := cert.VerifyHostname(name); err != nil {
			return cert, fmt.Errorf("%w: %w", ErrWrongName, err)
		}
	}
	return cert, nil
}

// SignedBy tells whether a CA signed a certificate.
func SignedBy(cert, ca *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, ca.RawSubject) && cert.CheckSignatureFrom(ca) == nil
}

func validAt(cert *x509.Certificate, now time.Time) bool {
	return !now.Before(cert.NotBefore) && now.Before(cert.NotAfter)
}

func parsePair(pair Pair) (*x509.Certificate, error) {
	if len(pair.Cert) == 0 || len(pair.Key) == 0 {
		return nil, ErrAbsent
	}
	certs, err := ParseBundle(pair.Cert)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(pair.Key); block == nil {
		return nil, ErrMalformed
	}
	// X509KeyPair also tells whether the two belong together. Its errors are not passed on: they are about a key.
	if _, err := tls.X509KeyPair(pair.Cert, pair.Key); err != nil {
		return nil, ErrMismatch
	}
	return certs[0], nil
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, ErrMalformed
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, ErrMalformed
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, ErrMalformed
	}
	return ec, nil
}

// ParseBundle reads PEM-encoded certificates, at least one. It fails with [ErrAbsent] or [ErrMalformed].
func ParseBundle(text []byte) ([]*x509.Certificate, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, ErrAbsent
	}
	var certs []*x509.Certificate
	for rest := text; len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != certificateBlock {
			return nil, ErrMalformed
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, ErrMalformed
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// EncodeBundle is the inverse of [ParseBundle].
func EncodeBundle(certs []*x509.Certificate) []byte {
	var text []byte
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: cert.Raw})...)
	}
	return text
}

// newBundle has the CA first, and then those of the others that still are of use, the youngest first, each once.
func newBundle(ca *x509.Certificate, others []*x509.Certificate, now time.Time) []*x509.Certificate {
	bundle := []*x509.Certificate{ca}
	slices.SortStableFunc(others, func(a, b *x509.Certificate) int { return b.NotBefore.Compare(a.NotBefore) })
	for _, other := range others {
		if other.IsCA && now.Before(other.NotAfter) && !contains(bundle, other) {
			bundle = append(bundle, other)
		}
	}
	return bundle[:min(len(bundle), maxBundle)]
}

// maxBundle bounds a bundle: nobody can make it grow by damaging Secrets again and again.
const maxBundle = 8

func contains(certs []*x509.Certificate, cert *x509.Certificate) bool {
	return slices.ContainsFunc(certs, cert.Equal)
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, cert := range certs {
		p.AddCert(cert)
	}
	return p
}
