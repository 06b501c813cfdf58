package defaulting

import (
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// Kinds that have defaults.
const (
	serviceKind = "DataPowerService"
	monitorKind = "DataPowerMonitor"
)

var (
	// ErrUnknownKind says that an object has an apiVersion and kind that this package has no defaults for.
	ErrUnknownKind = errors.New("no defaults for this kind")
	// ErrNoObject says that the input is no JSON object.
	ErrNoObject = errors.New("no JSON object")
)

// JSON returns a DataPowerService of any version or a DataPowerMonitor with its defaults. old is the stored object of
// an update, empty for a creation. The difference between raw and the result is what a webhook answers; it never
// removes or replaces what a user set. It fails with [ErrNoObject] or [ErrUnknownKind].
func JSON(raw, old []byte, d Defaults) ([]byte, error) {
	object, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if len(old) == 0 {
		err = Object(object, d)
	} else {
		var was map[string]any
		if was, err = decode(old); err == nil {
			err = Update(object, was, d)
		}
	}
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encoding the object with its defaults: %w", err)
	}
	return out, nil
}

func decode(raw []byte) (map[string]any, error) {
	var object map[string]any
	if err := utiljson.Unmarshal(raw, &object); err != nil || object == nil {
		return nil, ErrNoObject
	}
	return object, nil
}

// Object fills the defaults into a DataPowerService of any version or a DataPowerMonitor, in the form that
// unstructured objects have. It fails with [ErrUnknownKind].
func Object(object map[string]any, d Defaults) error {
	fill, err := filler(object, d)
	if err != nil {
		return err
	}
	if spec, ok := object["spec"].(map[string]any); ok {
		fill(spec)
	}
	return nil
}

// Update is Object for an update of old, which is stored. Defaults that nobody owns follow the fields that they depend
// on.
func Update(object, old map[string]any, d Defaults) error {
	fill, err := filler(object, d)
	if err != nil {
		return err
	}
	if object["kind"] == serviceKind && object["apiVersion"] == old["apiVersion"] {
		refresh(object, old, fill)
	}
	return Object(object, d)
}

// filler returns the function that fills the defaults into the spec of objects of this kind.
func filler(object map[string]any, d Defaults) (func(spec map[string]any), error) {
	text, _ := object["apiVersion"].(string)
	gv, err := schema.ParseGroupVersion(text)
	switch {
	case err != nil || gv.Group != datapower.Group:
	case object["kind"] == serviceKind && specFields[gv.Version] != nil:
		parked, _ := at(object, "metadata", "annotations", conversion.DataAnnotation).(string)
		keep := conversion.Waits(parked, "spec", "resources")
		return func(spec map[string]any) { fillService(gv.Version, spec, d, keep) }, nil
	case object["kind"] == monitorKind && gv == v1beta2.GroupVersion:
		return fillMonitor, nil
	}
	return nil, fmt.Errorf("%w: %s, %v", ErrUnknownKind, text, object["kind"])
}

// Service fills the defaults into a DataPowerService. Zero values of fields without pointers count as absent, so what
// webhooks get from an API server is better given to [JSON]. The error says that the object cannot be encoded as JSON.
func Service(svc *v1beta3.DataPowerService, d Defaults) error {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(svc)
	if err != nil {
		return fmt.Errorf("encoding a DataPowerService: %w", err)
	}
	object["apiVersion"], object["kind"] = v1beta3.GroupVersion.String(), serviceKind
	if err := Object(object, d); err != nil {
		return err
	}
	filled := &v1beta3.DataPowerService{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, filled); err != nil {
		return fmt.Errorf("decoding a DataPowerService: %w", err)
	}
	svc.Spec = filled.Spec
	return nil
}

// Defaults of DataPowerMonitor. They are those of its schema, which the API server fills in first; times are in
// milliseconds.
const (
	lifecycleDebounceMs            = 10000
	peeringRecoveryCheckIntervalMs = 1000
	monitorGatewayPeering          = false
	restManagementPort             = 5554
)

// Monitor fills the defaults into a DataPowerMonitor.
func Monitor(monitor *v1beta2.DataPowerMonitor) {
	spec := &monitor.Spec
	if spec.LifecycleDebounceMs == nil {
		spec.LifecycleDebounceMs = new(int32(lifecycleDebounceMs))
	}
	if spec.PeeringRecoveryCheckIntervalMs == nil {
		spec.PeeringRecoveryCheckIntervalMs = new(int32(peeringRecoveryCheckIntervalMs))
	}
	if spec.MonitorGatewayPeering == nil {
		spec.MonitorGatewayPeering = new(monitorGatewayPeering)
	}
	if spec.RestManagement != nil && spec.RestManagement.Port == nil {
		spec.RestManagement.Port = new(int32(restManagementPort))
	}
}

func fillMonitor(spec map[string]any) {
	absent(spec, "lifecycleDebounceMs", int64(lifecycleDebounceMs))
	absent(spec, "peeringRecoveryCheckIntervalMs", int64(peeringRecoveryCheckIntervalMs))
	absent(spec, "monitorGatewayPeering", monitorGatewayPeering)
	if settings, ok := spec["restManagement"].(map[string]any); ok {
		absent(settings, "port", int64(restManagementPort))
	}
}
