package exposure

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// conditionTypes are the conditions of this package, in the order in which they are written.
var conditionTypes = []string{oda.ConditionRouted, oda.ConditionMonitored, oda.ConditionReady}

// Compute decides what the status says. It is pure and deterministic, and computing again from its own result changes
// nothing.
func Compute(in Input) Status {
	out := Status{Conditions: conditionsOf(in)}
	if in.API.External() {
		// Whoever made the resource knows where the API is, and has said so in the status.
		out.APIStatus, out.Ready = in.Current.APIStatus, in.Current.Ready
		return out
	}
	ready := in.ReadyEndpoint
	out.Ready = &ready
	out.APIStatus = apiStatusOf(in)
	return out
}

func apiStatusOf(in Input) *APIStatus {
	api := in.API
	s := &APIStatus{Name: api.Name, Path: api.Path, Port: api.Port, Implementation: api.Implementation}
	if _, exposure := in.Settings.Route(api); exposure == oda.Internal {
		s.URL = api.InternalURL(api.Path)
		if api.DeveloperUI != "" {
			s.DeveloperUI = api.InternalURL(api.DeveloperUI)
		}
		return s
	}
	if !in.routeIsOurs() || in.Conflict != nil {
		return s
	}
	s.UID = in.Route.UID
	base, ip := addressOf(in)
	if base == "" {
		return s
	}
	s.URL, s.IP = base+api.Path, ip
	if api.DeveloperUI != "" {
		s.DeveloperUI = base + api.DeveloperUI
	}
	return s
}

func (in Input) routeIsOurs() bool { return in.Route != nil && in.Route.Owner == string(in.API.UID) }

// addressOf is what a URL begins with, and the address that upstream calls ip; both empty while there is no address.
func addressOf(in Input) (base, ip string) {
	service, at := frontDoor(in.Front)
	if public := in.Settings.PublicHostname; public != "" {
		at = entry{hostname: public}
	}
	if at.ip == "" {
		at.ip = at.hostname
	}
	if at.ip == "" {
		return "", ""
	}
	host := at.ip
	if in.API.Hostname != "" {
		host = in.API.Hostname
	}
	return originOf(in.Gateway, service, host).base(host), at.ip
}

// fits tells whether the VirtualService is what the API asks for now.
func (in Input) fits() bool {
	wanted, exposure := in.Settings.Route(in.API)
	r := in.Route
	return exposure == oda.Routed && r != nil && slices.Equal(r.Gateways, []string{wanted.Gateway}) &&
		slices.Equal(r.Hosts, wanted.Hosts) && slices.Equal(r.Matches, wanted.Matches) &&
		r.Host == in.API.Implementation && r.Port == in.API.Port
}

// unsettled tells whether the helm-operator is about to make or to change the VirtualService, as far as can be known, so
// that a status would be out of date as soon as it is written.
func (in Input) unsettled() bool {
	_, exposure := in.Settings.Route(in.API)
	return exposure == oda.Routed && in.Istio && in.Conflict == nil && in.HelmFailure == "" && in.SpecError == "" &&
		(!in.routeIsOurs() || !in.fits())
}

func conditionsOf(in Input) []metav1.Condition {
	conditions := []metav1.Condition{routed(in)}
	if oda.Metrics(in.API.Type) {
		conditions = append(conditions, monitored(in))
	}
	conditions = append(conditions, ready(in))
	for i := range conditions {
		c := &conditions[i]
		c.ObservedGeneration = in.Generation
		c.LastTransitionTime = metav1.NewTime(in.Now).Rfc3339Copy()
		before := meta.FindStatusCondition(in.Current.Conditions, c.Type)
		if before != nil && before.Status == c.Status && !before.LastTransitionTime.IsZero() {
			c.LastTransitionTime = before.LastTransitionTime
		}
	}
	return conditions
}

func condition(conditionType string, status metav1.ConditionStatus, reason, message string, args ...any) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: fmt.Sprintf(message, args...)}
}

func routed(in Input) metav1.Condition {
	no := func(reason, message string, args ...any) metav1.Condition {
		return condition(oda.ConditionRouted, metav1.ConditionFalse, reason, message, args...)
	}
	wanted, exposure := in.Settings.Route(in.API)
	switch {
	case exposure == oda.External:
		return no(ReasonExternal, "spec.implementation is %s: nothing is routed, and the URL in the status is left as it is.",
			oda.ImplementationExternal)
	case exposure == oda.Internal:
		return no(ReasonInternal, "APIs of the segment %s are kept inside the cluster by %s; the URL works there only.",
			in.API.Segment, oda.EnvInternalSegments)
	case in.SpecError != "":
		return no(ReasonInvalidSpec, "%s. Correct it.", in.SpecError)
	case !in.Istio:
		return no(ReasonIstioMissing, "The cluster does not serve VirtualService (networking.istio.io). "+
			"Install Istio, or its custom resource definitions; routing goes on by itself then.")
	case in.Conflict != nil:
		return no(ReasonPathConflict, "Not routed: %s. Change spec.path, or delete the other one.", in.Conflict)
	case in.Route != nil && !in.routeIsOurs():
		return no(ReasonRouteNotOurs, "The VirtualService %s/%s belongs to somebody else. Rename it or the %s.",
			in.API.Namespace, in.API.Name, in.API.Kind)
	case in.Route == nil:
		return no(ReasonRouteMissing, "There is no VirtualService %s/%s.%s", in.API.Namespace, in.API.Name, in.helmRemedy())
	case in.Gateway == nil:
		return no(ReasonGatewayMissing, "The Gateway %s does not exist. Create it, or name another one in %s "+
			"(the form namespace/name names one of another namespace).", wanted.Gateway, oda.EnvGateway)
	case !in.fits():
		return no(ReasonRouteOutdated, "The VirtualService %s/%s is not what the spec asks for.%s",
			in.API.Namespace, in.API.Name, in.helmRemedy())
	}
	if address := noAddress(in, wanted.Gateway); address != nil {
		return no(address.reason, "%s", address.message)
	}
	return condition(oda.ConditionRouted, metav1.ConditionTrue, ReasonRouted, "Gateway %s sends requests for %s to Service %s, port %d.",
		wanted.Gateway, in.API.Path, in.API.Implementation, in.API.Port)
}

type finding struct{ reason, message string }

// noAddress says why there is no URL; nil when there is one.
func noAddress(in Input, gateway string) *finding {
	if base, _ := addressOf(in); base != "" {
		return nil
	}
	service, _ := frontDoor(in.Front)
	if service == nil {
		return &finding{ReasonFrontMissing, fmt.Sprintf("The address is not known: no Service selects the pods of Gateway %s (selector %s), "+
			"and none is labelled %s=%s. Create one, or set %s.", gateway, selectorText(in.Gateway), ingressLabel, ingressValue, oda.EnvPublicHostname)}
	}
	return &finding{ReasonAddressPending, fmt.Sprintf("The address is not known: Service %s/%s in front of Gateway %s has no load balancer "+
		"address yet (type %s). The URL follows when it has; where it never will, set %s.",
		service.Namespace, service.Name, gateway, service.Spec.Type, oda.EnvPublicHostname)}
}

func selectorText(g *Gateway) string {
	if g == nil || len(g.Selector) == 0 {
		return "none"
	}
	return metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: g.Selector})
}

// helmRemedy tells where to look when the helm-operator has not done its part.
func (in Input) helmRemedy() string {
	if in.HelmFailure != "" {
		return " The helm-operator cannot make it: " + in.HelmFailure
	}
	return " The helm-operator makes it; see that it runs and that the resource is not paused."
}

func monitored(in Input) metav1.Condition {
	say := func(status metav1.ConditionStatus, reason, message string, args ...any) metav1.Condition {
		return condition(oda.ConditionMonitored, status, reason, message, args...)
	}
	service := in.API.Namespace + "/" + in.API.Implementation
	switch {
	case in.API.External():
		return say(metav1.ConditionFalse, ReasonExternal, "spec.implementation is %s: nothing is monitored.", oda.ImplementationExternal)
	case in.Settings.Metrics != oda.MetricsServiceMonitor && in.Service == nil:
		return say(metav1.ConditionFalse, ReasonServiceMissing, "The Service %s does not exist, so there are no pods to annotate. Create it.", service)
	case in.Settings.Metrics != oda.MetricsServiceMonitor && len(in.Service.Spec.Selector) == 0:
		return say(metav1.ConditionFalse, ReasonNoSelector, "The Service %s has no selector, so its pods are not known. "+
			"Give it one, or set %s to %s.", service, oda.EnvMetrics, oda.MetricsServiceMonitor)
	case in.Settings.Metrics != oda.MetricsServiceMonitor:
		return say(metav1.ConditionTrue, ReasonPodsAnnotated, "The pods of Service %s carry the annotations of %s.", service, in.Settings.Metrics)
	case !in.PrometheusOperator:
		return say(metav1.ConditionFalse, ReasonPrometheusMissing, "The cluster does not serve ServiceMonitor (monitoring.coreos.com). Install "+
			"prometheus-operator, or its custom resource definitions, or set %s to another value.", oda.EnvMetrics)
	case in.MonitorsUnknown:
		return say(metav1.ConditionUnknown, ReasonMonitorsUnknown, "The API server does not list ServiceMonitors. "+
			"See that the sidecar may list and watch servicemonitors.monitoring.coreos.com; its log has the error.")
	case !in.Monitor:
		return say(metav1.ConditionFalse, ReasonMonitorMissing, "There is no ServiceMonitor %s/%s.%s", in.API.Namespace, in.API.Name, in.helmRemedy())
	case in.Service != nil && in.Service.Labels["name"] != in.API.Implementation:
		return say(metav1.ConditionFalse, ReasonLabelMissing, "The ServiceMonitor selects Services by the label name=%[2]s, which Service %[1]s "+
			"does not carry: kubectl label service -n %[3]s %[2]s name=%[2]s", service, in.API.Implementation, in.API.Namespace)
	}
	return say(metav1.ConditionTrue, ReasonMonitored, "The ServiceMonitor %s/%s is in place.", in.API.Namespace, in.API.Name)
}

func ready(in Input) metav1.Condition {
	say := func(status metav1.ConditionStatus, reason, message string, args ...any) metav1.Condition {
		return condition(oda.ConditionReady, status, reason, message, args...)
	}
	service := in.API.Namespace + "/" + in.API.Implementation
	switch {
	case in.API.External():
		return say(metav1.ConditionUnknown, ReasonExternal, "spec.implementation is %s: nobody here can tell.", oda.ImplementationExternal)
	case in.ReadyEndpoint:
		return say(metav1.ConditionTrue, ReasonReady, "Service %s has a ready endpoint.", service)
	case in.Service == nil:
		return say(metav1.ConditionFalse, ReasonServiceMissing, "The Service %s that spec.implementation names does not exist. Create it, or correct the name.", service)
	}
	return say(metav1.ConditionFalse, ReasonNotReady, "Service %s has no ready endpoint. Look at the pods that it selects (%s).",
		service, metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: in.Service.Spec.Selector}))
}
