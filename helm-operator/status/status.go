// Package status writes the helm-operator's share of a custom resource's status: four conditions,
// deployedRelease and observedGeneration. Everything else in the status is another writer's.
package status

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldManager owns this program's fields of the status.
const FieldManager = "datapower-helm-operator-status"

// Condition types, as both existing helm-operators name them.
const (
	// Initialized: the resource was seen and its finalizer is set.
	Initialized = "Initialized"
	// Deployed: the release holds what the resource asks for.
	Deployed = "Deployed"
	// ReleaseFailed: the last install, upgrade or uninstall failed.
	ReleaseFailed = "ReleaseFailed"
	// Irreconcilable: the resource can't be rendered, or the cluster could not be asked.
	Irreconcilable = "Irreconcilable"
)

// Types lists the condition types this program writes, in the order they are shown.
var Types = []string{Initialized, Deployed, ReleaseFailed, Irreconcilable}

// DeployedRelease tells which revision is deployed.
type DeployedRelease struct {
	Name     string `json:"name"`
	Revision int64  `json:"revision"`
	// Chart is <name>-<version>.
	Chart string `json:"chart"`
	// InventoryDigest stands for the state in which the release's objects were verified; a new
	// process that finds it unchanged has nothing to verify.
	InventoryDigest string `json:"inventoryDigest,omitempty"`
}

// Status is this program's share of a status.
type Status struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	DeployedRelease    *DeployedRelease   `json:"deployedRelease,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// Read extracts this program's share from a custom resource.
func Read(cr *unstructured.Unstructured) (Status, error) {
	raw, found, err := unstructured.NestedMap(cr.Object, "status")
	if err != nil || !found {
		return Status{}, nil
	}
	var all Status
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &all); err != nil {
		return Status{}, fmt.Errorf("read status: %w", err)
	}
	own := Status{ObservedGeneration: all.ObservedGeneration, DeployedRelease: all.DeployedRelease}
	for _, t := range Types {
		if c := meta.FindStatusCondition(all.Conditions, t); c != nil {
			own.Conditions = append(own.Conditions, *c)
		}
	}
	return own, nil
}

// Set puts a condition at the given generation; its transition time moves only with its status.
func (s *Status) Set(generation int64, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: truncate(message), ObservedGeneration: generation,
	})
}

// maxMessage is the limit of metav1.Condition's message.
const maxMessage = 32768

func truncate(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return s[:maxMessage-3] + "..."
}

// Copy returns an independent copy.
func (s Status) Copy() Status {
	c := s
	c.Conditions = append([]metav1.Condition(nil), s.Conditions...)
	if s.DeployedRelease != nil {
		d := *s.DeployedRelease
		c.DeployedRelease = &d
	}
	return c
}

// Write applies the status unless it is what the resource has already. A resource that is gone, or
// whose name another one has by now, is no error. c must read live.
func Write(ctx context.Context, c client.Client, cr *unstructured.Unstructured, before, after Status) error {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	data, err := json.Marshal(after)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	version := cr.GetResourceVersion()
	for range maxTries {
		if version == "" {
			if version, err = liveVersion(ctx, c, cr); err != nil || version == "" {
				break
			}
		}
		if err = apply(ctx, c, cr, version, fields); !apierrors.IsConflict(err) {
			break
		}
		version = ""
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// maxTries bounds how often a status write is repeated because somebody else wrote meanwhile.
const maxTries = 5

// apply writes to the given version of the resource only: the API server ignores the UID in an
// apply of a status, and would write to a later resource of the same name.
func apply(ctx context.Context, c client.Client, cr *unstructured.Unstructured, version string, fields map[string]any) error {
	u := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	u.SetGroupVersionKind(cr.GroupVersionKind())
	u.SetNamespace(cr.GetNamespace())
	u.SetName(cr.GetName())
	u.SetUID(cr.GetUID())
	u.SetResourceVersion(version)
	return c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(FieldManager), client.ForceOwnership)
}

// liveVersion returns the resource's newest version, "" when it is gone.
func liveVersion(ctx context.Context, c client.Client, cr *unstructured.Unstructured) (string, error) {
	u, err := live(ctx, c, cr)
	if err != nil || u == nil {
		return "", err
	}
	return u.GetResourceVersion(), nil
}
