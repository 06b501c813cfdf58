package conversion

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
)

// monitorField is the field of v1beta1 that travels in datapower.MonitorSettingsAnnotation.
const monitorField = "datapowerMonitor"

// minimumInterval is the least that a DataPowerMonitor accepts for its times, in milliseconds. v1beta1 had no bound.
const minimumInterval = 1000

// ErrMonitorSettings says that the annotation with the monitor's settings was damaged.
var ErrMonitorSettings = errors.New("malformed " + datapower.MonitorSettingsAnnotation)

// MonitorSpec returns the spec of the DataPowerMonitor that the parked datapowerMonitor settings of a v1beta1 service
// ask for, and whether there are any. Times below a second, which a DataPowerMonitor cannot have, become a second.
// Settings that a DataPowerMonitor does not have (image, ports, resources, env) belong to the Deployment that the
// monitor was then. It fails with ErrMonitorSettings.
func MonitorSpec(service metav1.Object) (spec v1beta2.DataPowerMonitorSpec, found bool, err error) {
	text, found := service.GetAnnotations()[datapower.MonitorSettingsAnnotation]
	if !found {
		return spec, false, nil
	}
	var settings v1beta1.DatapowerMonitorSettings
	if err := json.Unmarshal([]byte(text), &settings); err != nil {
		// The settings have environment variables: their text must not get into an error.
		return spec, false, ErrMonitorSettings
	}
	spec = v1beta2.DataPowerMonitorSpec{
		LifecycleDebounceMs:            atLeast(settings.LifecycleDebounceMs, minimumInterval),
		MonitorGatewayPeering:          settings.MonitorGatewayPeering,
		PeeringRecoveryCheckIntervalMs: atLeast(settings.PeeringRecoveryCheckIntervalMs, minimumInterval),
	}
	return spec, true, nil
}

func atLeast(value *int32, least int32) *int32 {
	if value == nil {
		return nil
	}
	return new(max(*value, least))
}

// parkMonitor moves datapowerMonitor from the body of a v1beta1 object to its annotations. What no v1beta1 client
// could have written stays behind.
func parkMonitor(b body, a annotations) error {
	spec, _ := b["spec"].(map[string]any)
	settings, isObject := spec[monitorField].(map[string]any)
	if !isObject {
		return nil
	}
	fitting, _ := monitorShape().fit(settings)
	text, err := compact(fitting)
	if err != nil {
		return fmt.Errorf("parking %s: %w", monitorField, err)
	}
	delete(spec, monitorField)
	a[datapower.MonitorSettingsAnnotation] = text
	return nil
}

// returnMonitor moves datapowerMonitor from the annotations to the body of a v1beta1 object. An annotation that
// v1beta1 could not say stays an annotation.
func returnMonitor(b body, a annotations) {
	spec, isObject := b["spec"].(map[string]any)
	text := a.text(datapower.MonitorSettingsAnnotation)
	if !isObject || text == "" {
		return
	}
	var settings map[string]any
	if utiljson.Unmarshal([]byte(text), &settings) != nil || settings == nil {
		return
	}
	if fitting, _ := monitorShape().fit(settings); !reflect.DeepEqual(fitting, any(settings)) {
		return
	}
	spec[monitorField] = settings
	delete(a, datapower.MonitorSettingsAnnotation)
}

func monitorShape() *shape { return shapes[beta1].fields["spec"].fields[monitorField] }
