package peering

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// DefaultPort is where gateways serve the REST management interface.
const DefaultPort = 5554

// Bounds of the calls to a gateway, smaller than those of the client: others wait for a gateway that hangs.
const (
	defaultTimeout       = 5 * time.Second
	defaultRetries       = 1
	defaultActionTimeout = 30 * time.Second
)

// RestSettings say how the gateways of a service are reached.
type RestSettings struct {
	// Port of the REST management interface; 0 means DefaultPort.
	Port int32
	// CAs and Pinned are certificates in PEM: authorities, and those that gateways may show themselves. With neither, the
	// system's authorities count.
	CAs, Pinned []byte
	// ServerName is the name that a gateway's certificate must have; empty means the pod's address.
	ServerName string
	// InsecureSkipVerify trusts any certificate. It excludes CAs and Pinned.
	InsecureSkipVerify bool
}

// Access tells how to log in to the gateways of a service. It reads what users of the cluster wrote.
type Access interface {
	// Logins are the users of the service, those of the defaults if it has none of its own.
	Logins(ctx context.Context, service Service) ([]Login, error)
	// Settings are those of the service's monitor.
	Settings(ctx context.Context, service Service) (RestSettings, error)
	// Secret returns the data of a Secret in the namespace of the service, nil when there is none.
	Secret(ctx context.Context, service Service, name string) (map[string][]byte, error)
}

// RestGateways connects to gateways by their REST management interface.
type RestGateways struct {
	// Access is required.
	Access Access
	// Client has options of the clients. Address, Username, Password, TLS and Observe are set for each gateway. Timeout,
	// Retries and ActionTimeout have smaller defaults here: others wait for a gateway that hangs. The standard proxy
	// variables are honoured unless Proxy is set.
	Client datapower.Options
	// Observe is called at the end of each call of a gateway; nil means nobody cares. It is called from many goroutines.
	Observe func(Service, datapower.Call)
}

var _ Gateways = RestGateways{}

// restGateway is a client, which keeps no connection between calls.
type restGateway struct{ *datapower.Client }

// Close implements [Gateway].
func (restGateway) Close() {}

// Connect implements [Gateways]. It does not talk to the gateway yet. Errors are [*ConnectError].
func (g RestGateways) Connect(ctx context.Context, service Service, pod Pod) (Gateway, error) {
	settings, err := g.Access.Settings(ctx, service)
	if err != nil {
		return nil, connectError(ReasonTLSSettings, err, "reading the settings: "+err.Error(), remedyTLS)
	}
	trust, err := trustOf(settings)
	if err != nil {
		return nil, connectError(ReasonTLSSettings, err, err.Error(), remedyTLS)
	}
	credentials, err := g.login(ctx, service)
	if err != nil {
		return nil, err
	}
	options := g.Client
	port := cmp.Or(settings.Port, DefaultPort)
	options.Address = net.JoinHostPort(pod.IP, strconv.Itoa(int(port)))
	options.Username, options.Password, options.TLS = credentials.name, credentials.password, trust
	options.Timeout = cmp.Or(options.Timeout, defaultTimeout)
	options.Retries = cmp.Or(options.Retries, defaultRetries)
	options.ActionTimeout = cmp.Or(options.ActionTimeout, defaultActionTimeout)
	if g.Observe != nil {
		options.Observe = func(call datapower.Call) { g.Observe(service, call) }
	}
	client, err := datapower.New(options)
	if err != nil {
		return nil, connectError(ReasonTLSSettings, err, err.Error(), remedyTLS)
	}
	return restGateway{client}, nil
}

const remedyTLS = "Correct spec.restManagement of the DataPowerMonitor and the Secret that its tls.secretName names: " +
	"ca.crt has CAs and tls.crt certificates, both in PEM; insecureSkipVerify excludes both"

// connectError makes the error of a connection that cannot be made. Nothing but a change of settings helps.
func connectError(reason Reason, err error, message, remedy string) error {
	return &ConnectError{Problem: Problem{Reason: reason, Message: message, Remedy: remedy}, Err: err}
}

// errPEM says that what should be certificates in PEM is not.
var errPEM = errors.New("no certificate in PEM")

// trustOf reads certificates.
func trustOf(settings RestSettings) (datapower.TLSOptions, error) {
	trust := datapower.TLSOptions{ServerName: settings.ServerName, InsecureSkipVerify: settings.InsecureSkipVerify}
	authorities, err := certificates(settings.CAs)
	if err != nil {
		return trust, fmt.Errorf("ca.crt: %w", err)
	}
	if len(authorities) > 0 {
		trust.CAs = x509.NewCertPool()
		for _, authority := range authorities {
			trust.CAs.AddCert(authority)
		}
	}
	if trust.Pinned, err = certificates(settings.Pinned); err != nil {
		return trust, fmt.Errorf("tls.crt: %w", err)
	}
	return trust, nil
}

// certificates reads all certificates of a PEM file. Empty input has none.
func certificates(file []byte) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for rest := file; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(found)+1, err)
		}
		found = append(found, certificate)
	}
	if len(file) > 0 && len(found) == 0 {
		return nil, errPEM
	}
	return found, nil
}
