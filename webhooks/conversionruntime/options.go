package conversionruntime

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"

	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// ErrOptions says that the options of a [Manager] contradict each other.
var ErrOptions = errors.New("contradictory options of the conversion webhook's manager")

// Options are what a [Manager] needs.
type Options struct {
	// Config leads to the API server.
	Config *rest.Config
	// Namespace is that of the operator and of everything that the Manager makes.
	Namespace string
	// Deployment says that the Deployment, the Service and what belongs to them are to be there.
	Deployment bool
	// Image replaces the operator's own image in the Deployment; empty means that of the operator's own Deployment.
	Image string
	// Command is [PodSpec.Command].
	Command []string
	// Local, when set, is a server in this process. The definition then names it by URL and not the Service.
	Local *Local
	// Policy says when certificates are replaced.
	Policy pki.Policy
	// Certificates may be nil.
	Certificates *pki.Metrics
	// Settled is called with the definition whenever everything was found right, if it is not nil. It must return soon.
	Settled func(definition *apiextensionsv1.CustomResourceDefinition)
	// Events is where those who run the operator get to know what they have to do.
	Events events.EventRecorder
	// Clock tells the time.
	Clock clock.PassiveClock
	// Log tells of changes.
	Log logr.Logger
}

// Local is a conversion server in this process.
type Local struct {
	// Address is where it listens, host:port with an IP address.
	Address string
	// Serving is the certificate that it serves.
	Serving *pki.Serving
}

// url is how the API server reaches it.
func (l *Local) url() string { return "https://" + l.Address + conversion.Path }

func (o Options) validate() error {
	switch {
	case o.Namespace == "":
		return fmt.Errorf("%w: no namespace", ErrOptions)
	case !o.Deployment && o.Local == nil:
		return fmt.Errorf("%w: neither a Deployment nor a server in this process", ErrOptions)
	case o.Deployment && len(o.Command) == 0:
		return fmt.Errorf("%w: no command for the Deployment", ErrOptions)
	}
	return nil
}

// names are what the certificate is valid for.
func (o Options) names() (pki.Names, error) {
	names := pki.ServiceNames(Name, o.Namespace)
	if o.Local == nil {
		return names, nil
	}
	host, _, err := net.SplitHostPort(o.Local.Address)
	ip := net.ParseIP(host)
	if err != nil || ip == nil || ip.IsUnspecified() {
		return names, fmt.Errorf("%w: the server in this process has to listen at one IP address, not at %s", ErrOptions, o.Local.Address)
	}
	names.IPs = []net.IP{ip}
	return names, nil
}

// endpoint is how the API server is to reach the webhook.
func (o Options) endpoint() endpoint {
	if o.Local != nil {
		return endpoint{url: o.Local.url()}
	}
	return endpoint{namespace: o.Namespace}
}

// address is where the webhook is asked whether it serves.
func (o Options) address() string {
	if o.Local != nil {
		return o.Local.Address
	}
	return net.JoinHostPort(Name+"."+o.Namespace+".svc", strconv.Itoa(Port))
}

// self is this operator.
func (o Options) self() Operator { return Operator{Namespace: o.Namespace, Name: OperatorName} }

// Times of the Manager.
const (
	// soon is the time between two tries of what waits for others.
	soon = 2 * time.Second
	// noticed is how long API servers may take to trust what was just published.
	noticed = time.Second
	// forbiddenRetry is the time between two tries of what this operator has no right to.
	forbiddenRetry = 10 * time.Minute
	// roundTimeout bounds one round.
	roundTimeout = time.Minute
)
