package registration

import (
	"net"
	"net/url"
	"slices"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/webhooks/admission"
)

// ServicePort is the port of the Service through which the API server calls.
const ServicePort = 443

// timeoutSeconds is how long the API server waits for an answer, which takes milliseconds: long enough that it is told
// the reason when the network fails.
const timeoutSeconds = 10

// namespaceLabel is set by Kubernetes on every namespace.
const namespaceLabel = "kubernetes.io/metadata.name"

// Target is how the API server calls the webhooks.
type Target struct {
	// Service and Namespace are those of the Service within the cluster.
	Service, Namespace string
	// HostPort, if set, is called instead, by URL: for an operator outside the cluster.
	HostPort string
}

// Name is the name that the API server expects in the certificate.
func (t Target) Name() string {
	if t.HostPort == "" {
		return t.Service + "." + t.Namespace + ".svc"
	}
	host, _, err := net.SplitHostPort(t.HostPort)
	if err != nil {
		return t.HostPort
	}
	return host
}

func (t Target) clientConfig(path string, bundle []byte) admissionv1.WebhookClientConfig {
	if t.HostPort != "" {
		address := (&url.URL{Scheme: "https", Host: t.HostPort, Path: path}).String()
		return admissionv1.WebhookClientConfig{URL: &address, CABundle: bundle}
	}
	return admissionv1.WebhookClientConfig{CABundle: bundle, Service: &admissionv1.ServiceReference{
		Name: t.Service, Namespace: t.Namespace, Path: &path, Port: new(int32(ServicePort)),
	}}
}

// Scope is what the configurations depend on but for certificates.
type Scope struct {
	// Namespace is the operator's own.
	Namespace string
	// Watched are the namespaces whose objects the operator cares for; none means all.
	Watched []string
	// Target is how to call it.
	Target Target
}

// Names of webhooks end like this, after the plural name of the kind.
const (
	defaulterSuffix = ".defaulter." + datapower.Group
	validatorSuffix = ".validator." + datapower.Group
)

// DefaulterNames are the names of the MutatingWebhookConfigurations of the operator in a namespace.
func DefaulterNames(namespace string) []string { return configurationNames(namespace, defaulterSuffix) }

// ValidatorNames are the names of its ValidatingWebhookConfigurations.
func ValidatorNames(namespace string) []string { return configurationNames(namespace, validatorSuffix) }

func configurationNames(namespace, suffix string) []string {
	var names []string
	for _, kind := range admission.Kinds() {
		names = append(names, namespace+"."+kind.Plural+suffix)
	}
	return names
}

// Desired are the configurations as they should be, with every field set that the API server would default, so that
// comparing is simple. owners and bundle are the same in all of them.
func Desired(scope Scope, owners []metav1.OwnerReference, bundle []byte) (
	[]admissionv1.MutatingWebhookConfiguration, []admissionv1.ValidatingWebhookConfiguration,
) {
	var mutating []admissionv1.MutatingWebhookConfiguration
	var validating []admissionv1.ValidatingWebhookConfiguration
	for _, kind := range admission.Kinds() {
		mutating = append(mutating, admissionv1.MutatingWebhookConfiguration{
			ObjectMeta: scope.meta(kind.Plural+defaulterSuffix, owners),
			Webhooks: []admissionv1.MutatingWebhook{{
				Name:                    kind.Plural + defaulterSuffix,
				ClientConfig:            scope.Target.clientConfig(kind.DefaultPath(kind.Newest()), bundle),
				Rules:                   rules(kind),
				FailurePolicy:           new(admissionv1.Fail),
				MatchPolicy:             new(admissionv1.Equivalent),
				NamespaceSelector:       scope.selector(),
				ObjectSelector:          &metav1.LabelSelector{},
				SideEffects:             new(admissionv1.SideEffectClassNone),
				TimeoutSeconds:          new(int32(timeoutSeconds)),
				AdmissionReviewVersions: []string{"v1"},
				ReinvocationPolicy:      new(admissionv1.NeverReinvocationPolicy),
			}},
		})
		validating = append(validating, admissionv1.ValidatingWebhookConfiguration{
			ObjectMeta: scope.meta(kind.Plural+validatorSuffix, owners),
			Webhooks: []admissionv1.ValidatingWebhook{{
				Name:                    kind.Plural + validatorSuffix,
				ClientConfig:            scope.Target.clientConfig(kind.ValidatePath(kind.Newest()), bundle),
				Rules:                   rules(kind),
				FailurePolicy:           new(admissionv1.Fail),
				MatchPolicy:             new(admissionv1.Equivalent),
				NamespaceSelector:       scope.selector(),
				ObjectSelector:          &metav1.LabelSelector{},
				SideEffects:             new(admissionv1.SideEffectClassNone),
				TimeoutSeconds:          new(int32(timeoutSeconds)),
				AdmissionReviewVersions: []string{"v1"},
			}},
		})
	}
	return mutating, validating
}

func (s Scope) meta(suffix string, owners []metav1.OwnerReference) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:            s.Namespace + "." + suffix,
		Labels:          map[string]string{datapower.ManagedByLabel: datapower.OperatorName},
		OwnerReferences: owners,
	}
}

// selector selects the watched namespaces by the label that Kubernetes puts on each of them.
func (s Scope) selector() *metav1.LabelSelector {
	if len(s.Watched) == 0 {
		return &metav1.LabelSelector{}
	}
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: namespaceLabel, Operator: metav1.LabelSelectorOpIn, Values: slices.Sorted(slices.Values(s.Watched))},
	}}
}

// rules name every version, so that an object is judged as its user wrote it. With one of them alone the API server
// would convert it first.
func rules(kind admission.Kind) []admissionv1.RuleWithOperations {
	return []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
		Rule: admissionv1.Rule{
			APIGroups: []string{datapower.Group}, APIVersions: kind.Versions, Resources: []string{kind.Plural},
			Scope: new(admissionv1.NamespacedScope),
		},
	}}
}

// HostPort is the address of a webhook that is called by URL.
func HostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
