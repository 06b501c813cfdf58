package exposure

// Reasons of the conditions, and of the events that tell of a change.
const (
	// ReasonRouted: the gateway sends the API's requests to its implementation.
	ReasonRouted = "Routed"
	// ReasonExternal: the API is not served in this cluster.
	ReasonExternal = "External"
	// ReasonInternal: settings keep the API off the gateway.
	ReasonInternal = "Internal"
	// ReasonInvalidSpec: a field of the spec has no usable value.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonIstioMissing: VirtualService is not served.
	ReasonIstioMissing = "IstioNotInstalled"
	// ReasonPathConflict: an older claim has the path.
	ReasonPathConflict = "PathConflict"
	// ReasonRouteMissing: the helm-operator has made no VirtualService.
	ReasonRouteMissing = "VirtualServiceNotFound"
	// ReasonRouteNotOurs: there is a VirtualService of the name that belongs to somebody else.
	ReasonRouteNotOurs = "VirtualServiceNotOwned"
	// ReasonRouteOutdated: the VirtualService is not what the spec asks for.
	ReasonRouteOutdated = "VirtualServiceOutdated"
	// ReasonGatewayMissing: the Istio Gateway does not exist.
	ReasonGatewayMissing = "GatewayNotFound"
	// ReasonFrontMissing: no Service leads to the Gateway.
	ReasonFrontMissing = "GatewayServiceNotFound"
	// ReasonAddressPending: the Service in front of the Gateway has no load balancer address.
	ReasonAddressPending = "AddressPending"

	// ReasonMonitored: the ServiceMonitor is in place.
	ReasonMonitored = "ServiceMonitorInPlace"
	// ReasonPodsAnnotated: the implementation's pods are annotated, also those to come.
	ReasonPodsAnnotated = "PodsAnnotated"
	// ReasonPrometheusMissing: ServiceMonitor is not served.
	ReasonPrometheusMissing = "PrometheusOperatorNotInstalled"
	// ReasonMonitorMissing: the helm-operator has made no ServiceMonitor.
	ReasonMonitorMissing = "ServiceMonitorNotFound"
	// ReasonMonitorsUnknown: the API server does not list the ServiceMonitors.
	ReasonMonitorsUnknown = "ServiceMonitorsNotListed"
	// ReasonLabelMissing: the ServiceMonitor does not select the implementation.
	ReasonLabelMissing = "ServiceLabelMissing"
	// ReasonNoSelector: the implementation has no selector, so that its pods are not known.
	ReasonNoSelector = "ServiceWithoutSelector"

	// ReasonReady: the implementation has a ready endpoint.
	ReasonReady = "EndpointReady"
	// ReasonNotReady: the implementation has no ready endpoint.
	ReasonNotReady = "NoReadyEndpoint"
	// ReasonServiceMissing: the implementation does not exist.
	ReasonServiceMissing = "ServiceNotFound"
)

// otherReason stands in metrics for a reason that is none of ours: where a definition has no schema, others may write
// anything.
const otherReason = "Other"

// reasons are all of the above.
var reasons = []string{
	ReasonRouted, ReasonExternal, ReasonInternal, ReasonInvalidSpec, ReasonIstioMissing, ReasonPathConflict,
	ReasonRouteMissing, ReasonRouteNotOurs, ReasonRouteOutdated, ReasonGatewayMissing, ReasonFrontMissing,
	ReasonAddressPending, ReasonMonitored, ReasonPodsAnnotated, ReasonPrometheusMissing, ReasonMonitorMissing,
	ReasonMonitorsUnknown, ReasonLabelMissing, ReasonNoSelector, ReasonReady, ReasonNotReady, ReasonServiceMissing,
}
