package exposure

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// Input is all that [Compute] looks at.
type Input struct {
	// API is what the resource asks for; SpecError what is wrong with it, "" when nothing is.
	API       oda.API
	SpecError string
	// Generation is what conditions are about; 0 where the definition has no status subresource, since there a write of the
	// status makes a new generation.
	Generation int64
	// Current is the status as it is: the conditions of others in it are facts, its own keep their transition times.
	Current Status
	// Settings are those of the operator.
	Settings oda.Settings
	// Istio and PrometheusOperator tell whether the cluster serves VirtualService and ServiceMonitor.
	Istio, PrometheusOperator bool
	// Route is the VirtualService of the API's name; nil when there is none.
	Route *Route
	// Conflict is why the API has no place on the gateway; nil when it has.
	Conflict *oda.Conflict
	// Gateway that the API is bound to, nil when it is missing; Front are the Services that lead to it.
	Gateway *Gateway
	Front   []*corev1.Service
	// Service is the implementation; nil when it is missing. ReadyEndpoint tells whether any of its EndpointSlices has one.
	Service       *corev1.Service
	ReadyEndpoint bool
	// Monitor tells whether there is a ServiceMonitor of the API; MonitorsUnknown that nobody can tell.
	Monitor, MonitorsUnknown bool
	// HelmFailure is why the helm-operator cannot render the API; "" when it can.
	HelmFailure string
	// Now is the time of a condition that changes its status now.
	Now time.Time
}

// Route is what matters of a VirtualService.
type Route struct {
	UID string
	// Owner is the UID of the controlling owner.
	Owner string
	// Gateways are "namespace/name".
	Gateways []string
	Hosts    []string
	// Matches and destination of the first rule.
	Matches []oda.Match
	Host    string
	Port    int64
}

// Status is this package's share of a status.
type Status struct {
	// APIStatus has the fields of upstream; nil is absent.
	APIStatus *APIStatus
	// Ready is nil while absent.
	Ready *bool
	// Conditions of this package's types, in the order of conditionTypes.
	Conditions []metav1.Condition
}

// APIStatus is status.apiStatus; empty fields are absent.
type APIStatus struct {
	Name           string
	UID            string
	Path           string
	Port           int64
	Implementation string
	URL            string
	DeveloperUI    string
	IP             string
}

// fields are the keys and values, nil for one that is absent.
func (s APIStatus) fields() map[string]any {
	out := map[string]any{"name": s.Name, "path": s.Path, "port": s.Port, "implementation": s.Implementation}
	for key, value := range map[string]string{"uid": s.UID, "url": s.URL, "developerUI": s.DeveloperUI, "ip": s.IP} {
		if value == "" {
			out[key] = nil
		} else {
			out[key] = value
		}
	}
	return out
}
