package pki

import (
	"context"
	"crypto/x509"
)

// AskWith replaces the handshakes with replicas, which know only the wall clock.
func (k *Keeper) AskWith(ask func(bundle []*x509.Certificate) error) {
	k.askAll = func(_ context.Context, _ []string, _ string, bundle []*x509.Certificate) error { return ask(bundle) }
}
