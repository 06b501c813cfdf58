package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

const (
	// ParkedFieldManager owns the fields of a monitor's spec that come from the datapowerMonitor settings of v1beta1.
	ParkedFieldManager = "datapower-parked-settings"
	// ParkedDigestAnnotation holds the digest of the settings that were taken over last, on the monitor. The same
	// settings are never taken over again, so that what a user makes of them stays.
	ParkedDigestAnnotation = "datapower.ibm.com/v1beta1-settings-digest"
)

// applyParked writes the settings that a v1beta1 user gave the service's monitor into the monitor, once, if the operator
// made the monitor. A field that somebody else has set meanwhile stays as it is. The entry is locked.
func (r *Reconciler) applyParked(ctx context.Context, e *entry) error {
	if e.gone || e.known == nil || e.service == "" {
		return nil
	}
	service := &v1beta3.DataPowerService{}
	if err := r.Client.Get(ctx, e.key, service); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !metav1.IsControlledBy(e.known, service) {
		return nil
	}
	spec, found, err := r.Parked(service)
	if err != nil {
		r.Log.Error(err, "the monitor's settings of v1beta1 are ignored", "Monitor.Name", e.key.Name)
	}
	if err != nil || !found {
		return nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&spec)
	if err != nil {
		return fmt.Errorf("encoding the settings of v1beta1: %w", err)
	}
	digest, err := digestOf(fields)
	if err != nil || e.known.Annotations[ParkedDigestAnnotation] == digest {
		return err
	}
	kept, err := r.takeOver(ctx, e.known, fields, digest)
	if err != nil {
		return fmt.Errorf("taking over the settings of v1beta1: %w", err)
	}
	r.event(e.known, nil, corev1.EventTypeNormal, EventParked, actionConvert,
		"took over datapowerMonitor of the v1beta1 DataPowerService: "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
	if len(kept) > 0 {
		r.event(e.known, nil, corev1.EventTypeNormal, EventParkedConflict, actionConvert,
			"left as they are, because somebody set them: "+strings.Join(kept, ", "))
	}
	return r.reread(ctx, e)
}

// takeOver applies the fields and the digest in one write. Fields that others own are left out, and returned.
func (r *Reconciler) takeOver(
	ctx context.Context, monitor *v1beta2.DataPowerMonitor, fields map[string]any, digest string,
) (kept []string, err error) {
	for {
		err = r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(parkedObject(monitor, fields, digest)),
			client.FieldOwner(ParkedFieldManager))
		conflicts := conflictingFields(err, fields)
		if len(conflicts) == 0 {
			return kept, err
		}
		for _, name := range conflicts {
			delete(fields, name)
		}
		kept = append(kept, conflicts...)
	}
}

func parkedObject(monitor *v1beta2.DataPowerMonitor, fields map[string]any, digest string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(v1beta2.GroupVersion.WithKind(monitorKind))
	object.SetNamespace(monitor.Namespace)
	object.SetName(monitor.Name)
	object.SetUID(monitor.UID)
	object.SetAnnotations(map[string]string{ParkedDigestAnnotation: digest})
	if len(fields) > 0 {
		object.Object["spec"] = maps.Clone(fields)
	}
	return object
}

// conflictingFields are those of the spec's fields that the API server says others own.
func conflictingFields(err error, fields map[string]any) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var names []string
	for _, cause := range status.Status().Details.Causes {
		name := strings.TrimPrefix(cause.Field, ".spec.")
		if _, ours := fields[name]; ours && cause.Type == metav1.CauseTypeFieldManagerConflict && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// digestOf is the first half of the SHA-256 of the fields as JSON, whose keys are sorted.
func digestOf(fields map[string]any) (string, error) {
	data, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("encoding the settings of v1beta1: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:len(sum)/2]), nil
}
