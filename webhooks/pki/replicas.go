package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discoveryv1client "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/utils/ptr"
)

// ErrNoReplica says that no replica is known that could be asked.
var ErrNoReplica = errors.New("no replica is known")

// handshakeTimeout bounds one question to one replica.
const handshakeTimeout = 3 * time.Second

// Replicas are those who serve a leaf.
type Replicas interface {
	// Addresses are the replicas' addresses of the form host:port.
	Addresses(ctx context.Context) ([]string, error)
}

// FixedReplicas are replicas whose addresses never change.
type FixedReplicas []string

// Addresses implements [Replicas].
func (r FixedReplicas) Addresses(context.Context) ([]string, error) { return r, nil }

// servicePortName is the name of the port that counts when a Service has several.
const servicePortName = "webhooks"

// ServiceReplicas are the ready endpoints of a Service, as its EndpointSlices name them. One that is not ready is not
// called by the API server, and becomes ready only with a leaf that callers trust. The Service has one port, or names
// the right one "webhooks".
type ServiceReplicas struct {
	Client  discoveryv1client.EndpointSlicesGetter
	Service string
	// Namespace is that of the Service.
	Namespace string
}

// Addresses implements [Replicas]. It reads from the API server.
func (r ServiceReplicas) Addresses(ctx context.Context) ([]string, error) {
	slices, err := r.Client.EndpointSlices(r.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + r.Service})
	if err != nil {
		return nil, fmt.Errorf("listing the endpoints of Service %s: %w", r.Service, err)
	}
	var addresses []string
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if !ptr.Deref(endpoint.Conditions.Ready, true) || len(endpoint.Addresses) == 0 {
				continue
			}
			for _, port := range slice.Ports {
				if port.Port != nil && (len(slice.Ports) == 1 || ptr.Deref(port.Name, "") == servicePortName) {
					addresses = append(addresses, net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*port.Port))))
				}
			}
		}
	}
	return addresses, nil
}

// AskReplicas asks every replica, by a TLS handshake, for the leaf that it serves. It succeeds if each of them serves
// one that is signed by a CA of the bundle and is valid for the name. The error names every replica that does not; it
// is [ErrNoReplica] when there is none.
func AskReplicas(ctx context.Context, addresses []string, name string, bundle []*x509.Certificate) error {
	if len(addresses) == 0 {
		return ErrNoReplica
	}
	problems := make([]error, len(addresses))
	var asking sync.WaitGroup
	for i, address := range addresses {
		asking.Go(func() { problems[i] = Handshake(ctx, address, name, bundle) })
	}
	asking.Wait()
	return errors.Join(problems...)
}

// Handshake opens a TLS connection as the API server would, and closes it. The error names the address.
func Handshake(ctx context.Context, address, name string, bundle []*x509.Certificate) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	dialer := &tls.Dialer{
		NetDialer: &net.Dialer{},
		Config:    &tls.Config{RootCAs: pool(bundle), ServerName: name, MinVersion: tls.VersionTLS12},
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("asking %s for its certificate: %w", address, err)
	}
	// What was asked is answered; how the connection ends says nothing about it.
	_ = conn.Close()
	return nil
}
