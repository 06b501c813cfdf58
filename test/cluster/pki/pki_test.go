package pki_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/cluster/pki"
)

var now = time.Date(2026, time.November, 20, 12, 0, 0, 0, time.UTC)

func authority(t *testing.T) *pki.Authority {
	t.Helper()
	a, err := pki.NewAuthority("test-ca", now)
	require.NoError(t, err)
	return a
}

func roots(t *testing.T, a *pki.Authority) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(a.Cert))
	return pool
}

// leaf parses the pair, which also shows that certificate and key belong together.
func leaf(t *testing.T, pair pki.Pair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(loaded.Certificate[0])
	require.NoError(t, err)
	return cert
}

func TestAServerCertificateVerifiesForItsNamesAndAddresses(t *testing.T) {
	a := authority(t)
	pair, err := a.Server("server", []string{"localhost", "kubernetes.default"}, []net.IP{net.IPv4(127, 0, 0, 1)}, now)
	require.NoError(t, err)
	cert := leaf(t, pair)
	for name, test := range map[string]struct {
		host  string
		valid bool
	}{
		"a DNS name":        {"localhost", true},
		"another DNS name":  {"kubernetes.default", true},
		"an address":        {"127.0.0.1", true},
		"a foreign name":    {"example.com", false},
		"a foreign address": {"192.0.2.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cert.Verify(x509.VerifyOptions{
				DNSName: test.host, Roots: roots(t, a), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			})
			assert.Equal(t, test.valid, err == nil, "%v", err)
		})
	}
}

func TestAClientCertificateNamesUserAndGroups(t *testing.T) {
	a := authority(t)
	pair, err := a.Client("alice", []string{"system:masters", "developers"}, now)
	require.NoError(t, err)
	cert := leaf(t, pair)
	assert.Equal(t, "alice", cert.Subject.CommonName)
	assert.ElementsMatch(t, []string{"system:masters", "developers"}, cert.Subject.Organization)
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots(t, a), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.NoError(t, err)
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots(t, a), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	require.Error(t, err, "a client must not pass for a server")
}

func TestACertificateOfAnotherAuthorityDoesNotVerify(t *testing.T) {
	pair, err := authority(t).Client("alice", nil, now)
	require.NoError(t, err)
	_, err = leaf(t, pair).Verify(x509.VerifyOptions{Roots: roots(t, authority(t)), CurrentTime: now})
	require.Error(t, err, "two authorities of the same name are two authorities")
}

func TestACertificateIsNoAuthority(t *testing.T) {
	pair, err := authority(t).Server("server", nil, nil, now)
	require.NoError(t, err)
	assert.False(t, leaf(t, pair).IsCA)
}

func TestCertificatesAreValidFromAnHourAgoForAYear(t *testing.T) {
	a := authority(t)
	pair, err := a.Client("alice", nil, now)
	require.NoError(t, err)
	for name, cert := range map[string]*x509.Certificate{"authority": leaf(t, a.Pair), "client": leaf(t, pair)} {
		assert.Equal(t, time.Date(2026, time.November, 20, 11, 0, 0, 0, time.UTC), cert.NotBefore, name)
		assert.Equal(t, time.Date(2027, time.November, 20, 12, 0, 0, 0, time.UTC), cert.NotAfter, name)
	}
}

func TestSigningKeysBelongTogether(t *testing.T) {
	public, private, err := pki.SigningKeys()
	require.NoError(t, err)
	block, _ := pem.Decode(public)
	require.NotNil(t, block)
	verification, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	block, _ = pem.Decode(private)
	require.NotNil(t, block)
	signing, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	key, ok := signing.(*ecdsa.PrivateKey)
	require.True(t, ok)
	assert.True(t, key.PublicKey.Equal(verification))
}

func TestWrittenFilesAreForTheOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.crt"), filepath.Join(dir, "c.key")
	require.NoError(t, authority(t).Write(cert, key))
	for _, path := range []string{cert, key} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode(), path)
	}
	_, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	require.Error(t, authority(t).Write(filepath.Join(dir, "none", "c.crt"), key))
}
