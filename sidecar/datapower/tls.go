package datapower

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLSOptions say which certificate of the gateway is trusted. At most one of CAs, Pinned and InsecureSkipVerify may be
// set; with none, the certificate must be valid for the host by the system's authorities.
type TLSOptions struct {
	// CAs are the authorities that may have signed the gateway's certificate.
	CAs *x509.CertPool
	// ServerName is the name that the certificate must be valid for, when it is not the host of the address. It goes with
	// CAs or the system's authorities: a pod's address is seldom in a certificate, its name in the headless Service is.
	ServerName string
	// Pinned is the one certificate that the gateway may show. Nothing else of it is checked, neither names nor dates: a
	// gateway's self-signed certificate has neither in order.
	Pinned *x509.Certificate
	// InsecureSkipVerify trusts any certificate, so that whoever can redirect the connection learns the password.
	InsecureSkipVerify bool
}

// config makes the TLS configuration of a client.
func (o TLSOptions) config() (*tls.Config, error) {
	ways := 0
	for _, set := range []bool{o.CAs != nil, o.Pinned != nil, o.InsecureSkipVerify} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return nil, fmt.Errorf("%w: authorities, a pinned certificate and no verification exclude each other", ErrOptions)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.CAs, ServerName: o.ServerName}
	switch {
	case o.InsecureSkipVerify:
		config.InsecureSkipVerify = true // chosen by name in the options
	case o.Pinned != nil:
		config.InsecureSkipVerify = true // VerifyConnection does it, also for resumed sessions
		config.VerifyConnection = func(state tls.ConnectionState) error { return verifyPin(state, o.Pinned) }
	}
	return config, nil
}

// verifyPin checks that the gateway showed the pinned certificate. That it has the key, TLS itself has checked.
func verifyPin(state tls.ConnectionState, pinned *x509.Certificate) error {
	if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, pinned.Raw) {
		return fmt.Errorf("%w: it is not the pinned one", ErrCertificate)
	}
	return nil
}

// isCertificateError tells whether the gateway's certificate is why a request failed.
func isCertificateError(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.Is(err, ErrCertificate) || errors.As(err, &verification)
}
