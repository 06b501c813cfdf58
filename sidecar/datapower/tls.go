package datapower

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// TLSOptions say which certificate of the gateway is trusted: one that is pinned, or one that the CAs have signed. With
// neither, the certificate must be valid for the host by the system's authorities. InsecureSkipVerify excludes both.
type TLSOptions struct {
	// CAs are the authorities that may have signed the gateway's certificate.
	CAs *x509.CertPool
	// ServerName is the name that the certificate must be valid for, when it is not the host of the address. It goes with
	// CAs or the system's authorities: a pod's address is seldom in a certificate, its name in the headless Service is.
	ServerName string
	// Pinned are the certificates that the gateway may show. Nothing else of them is checked, neither names nor dates: a
	// gateway's self-signed certificate has neither in order.
	Pinned []*x509.Certificate
	// InsecureSkipVerify trusts any certificate, so that whoever can redirect the connection learns the password.
	InsecureSkipVerify bool
}

// config makes the TLS configuration of a client for a host.
func (o TLSOptions) config(host string) (*tls.Config, error) {
	if o.InsecureSkipVerify && (o.CAs != nil || len(o.Pinned) > 0) {
		return nil, fmt.Errorf("%w: no verification excludes authorities and pinned certificates", ErrOptions)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.CAs, ServerName: o.ServerName}
	switch {
	case o.InsecureSkipVerify:
		config.InsecureSkipVerify = true // chosen by name in the options
	case len(o.Pinned) > 0:
		config.InsecureSkipVerify = true // VerifyConnection does it, also for resumed sessions
		name := cmp.Or(o.ServerName, host)
		config.VerifyConnection = func(state tls.ConnectionState) error { return o.verify(state.PeerCertificates, name) }
	}
	return config, nil
}

// verify checks that the gateway showed a pinned certificate, or one of the authorities if there are any. That it has the
// key, TLS itself has checked.
func (o TLSOptions) verify(shown []*x509.Certificate, name string) error {
	if len(shown) == 0 {
		return fmt.Errorf("%w: it shows none", ErrCertificate)
	}
	if slices.ContainsFunc(o.Pinned, shown[0].Equal) {
		return nil
	}
	if o.CAs == nil {
		return fmt.Errorf("%w: it is not a pinned one", ErrCertificate)
	}
	options := x509.VerifyOptions{Roots: o.CAs, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, certificate := range shown[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if _, err := shown[0].Verify(options); err != nil {
		return fmt.Errorf("%w: it is not a pinned one, and %w", ErrCertificate, err)
	}
	return nil
}

// isCertificateError tells whether the gateway's certificate is why a request failed.
func isCertificateError(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.Is(err, ErrCertificate) || errors.As(err, &verification)
}
