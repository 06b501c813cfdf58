package validating

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Bounds of the schema.
const (
	maxAnnotations = 1000
	maxHostAliases = 256
)

// pods validates the fields that describe the pods.
func (f *findings) pods(spec *v1beta3.DataPowerServiceSpec) {
	atLeast(f, specPath.Child("replicas"), spec.Replicas, 0)
	atLeast(f, specPath.Child("terminationGracePeriodSeconds"), spec.TerminationGracePeriodSeconds, 0)
	oneOf(f, specPath.Child("podManagementPolicy"), spec.PodManagementPolicy,
		v1beta3.PodManagementPolicyParallel, v1beta3.PodManagementPolicyOrderedReady)
	f.objects(specPath.Child("imagePullSecrets"), spec.ImagePullSecrets, "Secret")
	f.repeated(specPath.Child("imagePullSecrets"), spec.ImagePullSecrets)
	f.tolerations(spec.Tolerations, specPath.Child("tolerations"))
	f.object(specPath.Child("serviceAccountName"), spec.ServiceAccountName, "ServiceAccount")
	f.affinity(spec.Affinity, specPath.Child("affinity"))
	f.labels(spec.Labels, specPath.Child("labels"))
	f.labelPairs(spec.NodeSelector, specPath.Child("nodeSelector"))
	f.podAnnotations(spec.Annotations, specPath.Child("annotations"))
	f.hostAliases(spec.HostAliases, specPath.Child("hostAliases"))
}

func (f *findings) labels(labels map[string]string, path *field.Path) {
	if _, isSet := labels[datapower.ServiceLabel]; isSet {
		f.forbidden(path, "labels must not set "+datapower.ServiceLabel+": the StatefulSet selects its pods by it; use another key")
	}
	f.labelPairs(labels, path)
}

// labelPairs requires keys and values that labels can have.
func (f *findings) labelPairs(labels map[string]string, path *field.Path) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if len(validation.IsQualifiedName(key)) > 0 {
			f.invalid(path.Key(key), stringKind, "must have the key of a label: an optional domain and '/', then at most 63 letters, digits, '-', '_' and '.'")
		}
		if len(validation.IsValidLabelValue(labels[key])) > 0 {
			f.invalid(path.Key(key), stringKind, "must be the value of a label: at most 63 letters, digits, '-', '_' and '.'")
		}
	}
}

func (f *findings) podAnnotations(annotations map[string]string, path *field.Path) {
	f.atMost(path, len(annotations), maxAnnotations)
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if strings.HasPrefix(key, datapower.Group+"/") && strings.HasSuffix(key, datapower.ReconciledAnnotationSuffix) {
			f.forbidden(path, "annotations must not set keys of the form datapower.ibm.com/*.reconciled: the operator keeps "+
				"content hashes there; use a key of your own to roll the pods")
		}
		if len(validation.IsQualifiedName(strings.ToLower(key))) > 0 {
			f.invalid(path.Key(key), stringKind, "must have the key of an annotation: an optional domain and '/', then at most 63 letters, digits, '-', '_' and '.'")
		}
	}
	if apivalidation.ValidateAnnotationsSize(annotations) != nil {
		f.errors = append(f.errors, field.TooLong(path, objectKind, apivalidation.TotalAnnotationSizeLimitB))
	}
}

func (f *findings) hostAliases(aliases []corev1.HostAlias, path *field.Path) {
	f.atMost(path, len(aliases), maxHostAliases)
	unique(f, path, aliases, "ip", func(a *corev1.HostAlias) string { return a.IP })
	for i, alias := range aliases {
		if _, err := netip.ParseAddr(alias.IP); err != nil {
			f.invalid(path.Index(i).Child("ip"), stringKind, "must be an IP address, for example 10.9.8.7")
		}
		for j, name := range alias.Hostnames {
			if len(validation.IsDNS1123Subdomain(name)) > 0 {
				f.invalid(path.Index(i).Child("hostnames").Index(j), stringKind, "must be a host name: lower-case letters, digits, '-' and '.'")
			}
		}
	}
}

// repeated warns of names that say nothing new.
func (f *findings) repeated(path *field.Path, names []string) {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			f.warn(path.Index(i), "has no effect: an earlier entry has the same name")
		}
	}
}

// tolerations requires what Kubernetes requires of them, which would refuse the pods.
func (f *findings) tolerations(tolerations []corev1.Toleration, path *field.Path) {
	for i, toleration := range tolerations {
		at := path.Index(i)
		oneOf(f, at.Child("operator"), toleration.Operator,
			corev1.TolerationOpExists, corev1.TolerationOpEqual, corev1.TolerationOpLt, corev1.TolerationOpGt)
		oneOf(f, at.Child("effect"), toleration.Effect,
			corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
		if toleration.Key != "" && len(validation.IsQualifiedName(toleration.Key)) > 0 {
			f.invalid(at.Child("key"), stringKind, "must be the key of a taint: an optional domain and '/', then at most 63 letters, digits, '-', '_' and '.'")
		}
		if toleration.Key == "" && toleration.Operator != corev1.TolerationOpExists {
			f.invalid(at.Child("operator"), stringKind, "must be Exists when there is no key: it then tolerates every taint")
		}
		if toleration.Operator == corev1.TolerationOpExists && toleration.Value != "" {
			f.invalid(at.Child("value"), stringKind, "must not be set when operator is Exists: remove it")
		}
		if toleration.TolerationSeconds != nil && toleration.Effect != corev1.TaintEffectNoExecute {
			f.invalid(at.Child("effect"), stringKind, "must be NoExecute when tolerationSeconds is set")
		}
		if toleration.Operator != corev1.TolerationOpExists && len(validation.IsValidLabelValue(toleration.Value)) > 0 {
			f.invalid(at.Child("value"), stringKind, "must be the value of a taint: at most 63 letters, digits, '-', '_' and '.'")
		}
	}
}
