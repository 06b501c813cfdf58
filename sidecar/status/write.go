package status

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// write applies desired to the status subresource of service, provided that
// the service is still exactly the one that was looked at: otherwise it fails
// with a conflict. Fields are taken over by force from whoever else wrote them,
// since this package is their only rightful writer.
func (r *Reconciler) write(ctx context.Context, service *v1beta3.DataPowerService, desired Status) error {
	object, err := applyObject(service, desired)
	if err != nil {
		return err
	}
	err = r.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner(datapower.SidecarStatusFieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying: %w", err)
	}
	return r.dropLeftovers(ctx, object, desired)
}

// applyObject is what is applied: the identity of the service and this
// writer's part of the status.
func applyObject(service *v1beta3.DataPowerService, desired Status) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&desired)
	if err != nil {
		return nil, fmt.Errorf("encoding the status: %w", err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	object.SetGroupVersionKind(v1beta3.GroupVersion.WithKind("DataPowerService"))
	object.SetNamespace(service.Namespace)
	object.SetName(service.Name)
	object.SetUID(service.UID)
	object.SetResourceVersion(service.ResourceVersion)
	return object, nil
}

// jsonPatch is one operation of RFC 6902.
type jsonPatch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// dropLeftovers removes conditions of this writer's types that are not wanted
// and that the apply left in place because another field manager owns them too:
// another operator that cared for the service before. written is the answer of
// the API server to the apply.
func (r *Reconciler) dropLeftovers(ctx context.Context, written *unstructured.Unstructured, desired Status) error {
	var service v1beta3.DataPowerService
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(written.Object, &service); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	conditions := service.Status.Conditions
	operations := []jsonPatch{{Op: "test", Path: "/metadata/resourceVersion", Value: service.ResourceVersion}}
	for i := len(conditions) - 1; i >= 0; i-- { // from the end, so that the positions stay true
		if isLeftover(conditions[i], desired) {
			operations = append(operations, jsonPatch{Op: "remove", Path: fmt.Sprintf("/status/conditions/%d", i)})
		}
	}
	if len(operations) == 1 {
		return nil
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return fmt.Errorf("encoding the removal of old conditions: %w", err)
	}
	err = r.Client.Status().Patch(ctx, &service, client.RawPatch(types.JSONPatchType, patch),
		client.FieldOwner(datapower.SidecarStatusFieldManager))
	if err != nil {
		return fmt.Errorf("removing old conditions: %w", err)
	}
	return nil
}

func isLeftover(condition metav1.Condition, desired Status) bool {
	return slices.Contains(conditionTypes, condition.Type) && desired.condition(condition.Type).Type == ""
}
