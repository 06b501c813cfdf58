package validating

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxWeight is the largest weight of a preference.
const maxWeight = 100

// affinity validates what Kubernetes requires of an affinity; operators and label selectors are left to it.
func (f *findings) affinity(affinity *corev1.Affinity, path *field.Path) {
	if affinity == nil {
		return
	}
	if nodes := affinity.NodeAffinity; nodes != nil {
		f.nodeAffinity(nodes, path.Child("nodeAffinity"))
	}
	if pods := affinity.PodAffinity; pods != nil {
		f.podTerms(pods.RequiredDuringSchedulingIgnoredDuringExecution,
			pods.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAffinity"))
	}
	if pods := affinity.PodAntiAffinity; pods != nil {
		f.podTerms(pods.RequiredDuringSchedulingIgnoredDuringExecution,
			pods.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAntiAffinity"))
	}
}

func (f *findings) nodeAffinity(nodes *corev1.NodeAffinity, path *field.Path) {
	if required := nodes.RequiredDuringSchedulingIgnoredDuringExecution; required != nil && len(required.NodeSelectorTerms) == 0 {
		f.required(path.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"), "give at least one term")
	}
	for i, term := range nodes.PreferredDuringSchedulingIgnoredDuringExecution {
		f.weight(path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("weight"), term.Weight)
	}
}

func (f *findings) podTerms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, path *field.Path) {
	for i, term := range required {
		f.topologyKey(path.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i), term)
	}
	for i, term := range preferred {
		at := path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		f.weight(at.Child("weight"), term.Weight)
		f.topologyKey(at.Child("podAffinityTerm"), term.PodAffinityTerm)
	}
}

func (f *findings) topologyKey(path *field.Path, term corev1.PodAffinityTerm) {
	if term.TopologyKey == "" {
		f.required(path.Child("topologyKey"), "name a label of nodes, for example kubernetes.io/hostname")
	}
}

func (f *findings) weight(path *field.Path, weight int32) {
	if weight < 1 || weight > maxWeight {
		f.invalid(path, integerKind, "must be a weight: choose one from 1 to 100")
	}
}
