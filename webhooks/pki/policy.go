package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrPolicy says that a [Policy] contradicts itself.
var ErrPolicy = errors.New("contradictory certificate policy")

// Policy says how long certificates last and when they are replaced.
type Policy struct {
	// CALifetime is how long a CA lasts. It is at least twice LeafLifetime.
	CALifetime time.Duration
	// LeafLifetime is how long a leaf lasts.
	LeafLifetime time.Duration
	// Backdate is how long before its making a certificate is valid, for callers whose clock is behind.
	Backdate time.Duration
	// Settle is how long callers may take to notice what was published.
	Settle time.Duration
	// Patience is how long a rotation may wait for replicas before it counts as failed.
	Patience time.Duration
	// Retry is the time between two tries of what waits for others.
	Retry time.Duration
}

// DefaultPolicy has a CA that lasts ten years and leaves that last one.
func DefaultPolicy() Policy {
	const year = 365 * 24 * time.Hour
	return Policy{
		CALifetime: 10 * year, LeafLifetime: year, Backdate: time.Hour,
		Settle: 10 * time.Second, Patience: 10 * time.Minute, Retry: 2 * time.Second,
	}
}

// ShortPolicy is for tests of rotation: a leaf lasts leaf, and all else follows from it.
func ShortPolicy(leaf time.Duration) Policy {
	return Policy{
		CALifetime: 3 * leaf, LeafLifetime: leaf, Backdate: time.Second,
		Settle: min(leaf/10, time.Second), Patience: leaf, Retry: min(leaf/10, time.Second),
	}
}

// Validate fails with [ErrPolicy].
func (p Policy) Validate() error {
	switch {
	case p.LeafLifetime < time.Second || p.CALifetime < 2*p.LeafLifetime:
		return fmt.Errorf("%w: a leaf must last at least a second, and a CA twice as long as a leaf", ErrPolicy)
	case p.Backdate < 0 || p.Settle < 0 || p.Patience <= 0 || p.Retry <= 0:
		return fmt.Errorf("%w: times must be positive", ErrPolicy)
	}
	return nil
}

// jitterParts is the part of a lifetime, one of so many, over which renewals are spread.
const jitterParts = 20

// RenewAt is when a certificate should be replaced: after two thirds of its life, less up to a twentieth that differs
// from certificate to certificate, so that many operators do not renew at once. It is a function of the certificate
// alone: all replicas agree, and so does a restarted one.
func RenewAt(cert *x509.Certificate) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	sum := sha256.Sum256(cert.Raw)
	spread := life / jitterParts
	if spread <= 0 {
		return cert.NotBefore
	}
	jitter := time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(spread))
	return cert.NotBefore.Add(life/3*2 - jitter)
}
