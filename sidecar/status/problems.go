package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// problem is one thing that keeps the service from working.
type problem struct {
	// reason is a condition reason in CamelCase.
	reason string
	// text is for humans and carries no content of Secrets.
	text string
}

// problemsOf lists what is wrong, causes before effects: a missing Secret
// explains a failed release, and a failed release may explain the pods. The
// order is stable.
func problemsOf(in Input) []problem {
	var problems []problem
	problems = append(problems, referenceProblems(in)...)
	problems = append(problems, releaseProblems(in, problems)...)
	if in.Refusal != "" {
		problems = append(problems, problem{reason: ReasonFailedCreate, text: in.Refusal})
	}
	return append(problems, podProblems(in, len(problems))...)
}

func texts(problems []problem) []string {
	all := make([]string, 0, len(problems))
	for _, p := range problems {
		all = append(all, p.text)
	}
	return all
}

// referenceProblems reports what the spec names and the namespace lacks: a
// missing object once, with the first field that names it.
func referenceProblems(in Input) []problem {
	var missing, incomplete []problem
	told := sets.New[ObjectName]()
	for _, n := range needsOf(in.Service) {
		keys, exists := in.Objects[n.object]
		switch {
		case !exists && !told.Has(n.object):
			told.Insert(n.object)
			text := fmt.Sprintf("%s %q not found (%s)", n.object.Kind, n.object.Name, n.path)
			missing = append(missing, problem{reason: ReasonReferenceNotFound, text: text})
		case exists && keys != nil && len(n.anyKey) > 0 && !keys.HasAny(n.anyKey...):
			text := fmt.Sprintf("%s %q has no key %s (%s)", n.object.Kind, n.object.Name, alternatives(n.anyKey), n.path)
			incomplete = append(incomplete, problem{reason: ReasonReferenceKeyNotFound, text: text})
		}
	}
	return append(missing, incomplete...)
}

// alternatives lists keys of which one suffices.
func alternatives(keys []string) string {
	text := fmt.Sprintf("%q", keys[0])
	for _, key := range keys[1:] {
		text += fmt.Sprintf(" or %q", key)
	}
	return text
}

// releaseProblems repeats what the helm-operator says it could not do. It too
// says when a reference is missing: that is left out when this package sees so
// itself, since the helm-operator may speak of an older state.
func releaseProblems(in Input, known []problem) []problem {
	var problems []problem
	for _, conditionType := range []string{datapower.ConditionReleaseFailed, datapower.ConditionIrreconcilable} {
		condition := meta.FindStatusCondition(in.Service.Status.Conditions, conditionType)
		if condition == nil || condition.Status != metav1.ConditionTrue {
			continue
		}
		p := problem{reason: conditionType, text: condition.Message}
		if p.text == "" {
			p.text = condition.Reason
		}
		if condition.Reason == ReasonReferenceNotFound {
			if len(known) > 0 {
				continue
			}
			p.reason = ReasonReferenceNotFound
		}
		problems = append(problems, p)
	}
	return problems
}
