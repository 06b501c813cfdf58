package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
)

// ErrNoLeaf says that there has been no leaf to serve yet.
var ErrNoLeaf = errors.New("there is no certificate to serve yet")

// Serving is the certificate that a server serves: that of a Secret as it was when it was last seen whole. It may be
// used by many goroutines; the zero value has no certificate.
type Serving struct {
	current atomic.Pointer[tls.Certificate]
	trusted atomic.Pointer[[]*x509.Certificate]
}

// Load takes the leaf of a Secret over. A Secret that is nil or damaged is not taken over: the error says why, and
// what was served goes on being served.
func (s *Serving) Load(secret *corev1.Secret) error {
	if secret == nil {
		return ErrAbsent
	}
	pair := Pair{Cert: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
	leaf, err := parsePair(pair)
	if err != nil {
		return err
	}
	trusted, err := ParseBundle(secret.Data[corev1.ServiceAccountRootCAKey])
	if err != nil {
		return err
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return ErrMismatch
	}
	certificate.Leaf = leaf
	s.trusted.Store(&trusted)
	s.current.Store(&certificate)
	return nil
}

// GetCertificate is for [tls.Config]. It fails with [ErrNoLeaf] before the first success of Load.
func (s *Serving) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	current := s.current.Load()
	if current == nil {
		return nil, ErrNoLeaf
	}
	return current, nil
}

// Leaf is what is served, and nil before the first success of Load.
func (s *Serving) Leaf() *x509.Certificate {
	if current := s.current.Load(); current != nil {
		return current.Leaf
	}
	return nil
}

// Trusted is the bundle that came with the leaf.
func (s *Serving) Trusted() []*x509.Certificate {
	if trusted := s.trusted.Load(); trusted != nil {
		return *trusted
	}
	return nil
}
