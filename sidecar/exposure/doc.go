// Package exposure writes what the sidecar says in the status of an ExposedAPI, and of the kinds that it was called before:
// apiStatus and implementation, as TM Forum's own operator for Istio writes them for the same readers, and the conditions
// Routed, Monitored and Ready. It hands url, developerUI and ready on to the Component that an API belongs to, and puts
// the annotations of the Prometheus and Datadog modes on pods. The rest of the status is the helm-operator's.
//
// [Compute], [Annotations] and [ComponentPatch] decide; they are pure. World keeps what was observed, with the indexes that
// tell whom an event concerns, so that a reconcile reads nothing from the API server, and in steady state nothing is sent.
// Sources follows the definitions of the kinds that may be missing, and watches each kind while it is served. Nothing
// but definitions is watched until there is an API.
//
// # Where the URL comes from
//
// The host is spec.hostname, else the public host name of the settings, else the address of the load balancer of the
// Service in front of the Istio Gateway. That Service is one whose pods the Gateway selects, which is known from the
// Service's own selector, else one that carries the Gateway's selector as labels, else one labelled istio=ingressgateway, as
// upstream has it. Scheme and port belong together: they are those of a server of the Gateway and of the Service's port that
// leads to it; HTTPS is preferred.
//
// The status has a URL exactly while there is a VirtualService of the API, and an address.
package exposure
