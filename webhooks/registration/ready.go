package registration

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// ErrNotRegistered says that the API server has not been told of the webhooks yet.
var ErrNotRegistered = errors.New("the webhooks are not registered")

// Readiness tells whether the API server can call this replica. It implements controller-runtime's healthz.Checker.
type Readiness struct {
	// Bundles are the bundles of the configurations, nil for one that is missing or empty.
	Bundles func() [][]byte
	// Address is where this process reaches its own server.
	Address string
	// Name is the name that the API server expects in the certificate.
	Name string
	// Serving is what the server serves.
	Serving *pki.Serving

	registered atomic.Bool
}

// Check succeeds when the server answers a TLS handshake, under the name that the API server uses, with a certificate
// that every configuration's bundle proves. The first time, no configuration may be missing. Later a missing or empty
// one says nothing against this replica: taking it out of the Service would not bring the configuration back.
func (r *Readiness) Check(request *http.Request) error {
	bundles := r.Bundles()
	trusted := r.Serving.Trusted()
	var seen [][]byte
	for _, bundle := range bundles {
		certs, err := pki.ParseBundle(bundle)
		switch {
		case err != nil && !r.registered.Load():
			return ErrNotRegistered
		case err != nil:
			certs = trusted
		case alreadySeen(seen, bundle):
			continue
		}
		seen = append(seen, bundle)
		if err := r.handshake(request.Context(), certs); err != nil {
			return err
		}
	}
	r.registered.Store(true)
	return nil
}

func (r *Readiness) handshake(ctx context.Context, bundle []*x509.Certificate) error {
	if err := pki.Handshake(ctx, r.Address, r.Name, bundle); err != nil {
		return fmt.Errorf("the webhooks do not answer as the API server expects: %w", err)
	}
	return nil
}

func alreadySeen(seen [][]byte, bundle []byte) bool {
	for _, other := range seen {
		if bytes.Equal(other, bundle) {
			return true
		}
	}
	return false
}

// Answers tells whether a server answers a handshake as the API server would make it, with a bundle that is yet to be
// published.
func Answers(ctx context.Context, address, name string, bundle []byte) error {
	certs, err := pki.ParseBundle(bundle)
	if err != nil {
		return err
	}
	return pki.Handshake(ctx, address, name, certs)
}
