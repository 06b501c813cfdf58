package exposure

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
)

// statusPatch is the merge patch from the status that the resource has to the one that is wanted; nil when they are the
// same. It is bound to the very object that was looked at, so that conditions that others write meanwhile are not lost.
func statusPatch(r *resource, wanted Status) ([]byte, error) {
	if r.upToDate(wanted) {
		return nil, nil
	}
	status := map[string]any{}
	if !equality.Semantic.DeepEqual(r.status.Conditions, wanted.Conditions) {
		conditions, err := mergeConditions(r.conditions, wanted)
		if err != nil {
			return nil, err
		}
		status["conditions"] = conditions
	}
	if wanted.APIStatus != nil && !equality.Semantic.DeepEqual(r.status.APIStatus, wanted.APIStatus) {
		fields := wanted.APIStatus.fields()
		for key, value := range fields {
			if _, there := r.written[key]; value == nil && !there {
				delete(fields, key)
			}
		}
		status["apiStatus"] = fields
	}
	if wanted.Ready != nil && !equality.Semantic.DeepEqual(r.status.Ready, wanted.Ready) {
		status["implementation"] = map[string]any{"ready": *wanted.Ready}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": r.UID, "resourceVersion": r.resourceVersion}, "status": status,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the status: %w", err)
	}
	return patch, nil
}

func (r *resource) upToDate(wanted Status) bool {
	return equality.Semantic.DeepEqual(r.status, wanted)
}

// mergeConditions replaces this package's conditions in a list and leaves those of others as and where they are.
func mergeConditions(list []any, wanted Status) ([]any, error) {
	var out []any
	for _, item := range list {
		fields, ok := item.(map[string]any)
		name, _ := fields["type"].(string)
		if !ok || !slices.Contains(conditionTypes, name) {
			out = append(out, item)
		}
	}
	for i := range wanted.Conditions {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&wanted.Conditions[i])
		if err != nil {
			return nil, fmt.Errorf("encoding a condition: %w", err)
		}
		out = append(out, fields)
	}
	return out, nil
}
