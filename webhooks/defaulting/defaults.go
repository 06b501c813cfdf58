package defaulting

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// ErrMalformed says that the chart's values are no YAML, or that the defaults in them do not have the form of the
// fields that they are for.
var ErrMalformed = errors.New("malformed defaults in the chart's values")

// Defaults are the defaults of DataPowerService. They are read-only; the zero value fills in nothing.
type Defaults struct {
	// plain are those values of the chart that stand for spec fields one by one, by version.
	plain map[string]map[string]any
	// raw is the chart's value "defaults", as it is written.
	raw map[string]any
	// typed is the same, decoded.
	typed typedDefaults
}

// typedDefaults is the chart's value "defaults". Values that defaulting does not need are left out.
type typedDefaults struct {
	Users          []v1beta3.User   `json:"users"`
	Affinity       *corev1.Affinity `json:"affinity"`
	LivenessProbe  *corev1.Probe    `json:"livenessProbe"`
	ReadinessProbe *corev1.Probe    `json:"readinessProbe"`
	HealthCheck    struct {
		Port               *int64  `json:"port"`
		LogLevel           *string `json:"logLevel"`
		SoftTimeoutSeconds *int64  `json:"softTimeoutSeconds"`
		HardTimeoutSeconds *int64  `json:"hardTimeoutSeconds"`
	} `json:"healthCheck"`
	Resources map[string]corev1.ResourceRequirements `json:"resources"`
	SNMP      struct {
		Port         *int64 `json:"port"`
		ExporterPort *int64 `json:"exporterPort"`
	} `json:"snmp"`
	PodAutoScaling struct {
		TargetCPU *int64 `json:"targetCPUUtilizationPercentage"`
	} `json:"podAutoScaling"`
	UpdateStrategy struct {
		RolloutHistoryLimit *int64 `json:"rolloutHistoryLimit"`
	} `json:"updateStrategy"`
}

// specFields are the fields of spec by version.
var specFields = map[string]map[string]bool{
	"v1beta1": fieldsOf(reflect.TypeFor[v1beta1.DataPowerServiceSpec]()),
	"v1beta2": fieldsOf(reflect.TypeFor[v1beta2.DataPowerServiceSpec]()),
	"v1beta3": fieldsOf(reflect.TypeFor[v1beta3.DataPowerServiceSpec]()),
}

func fieldsOf(t reflect.Type) map[string]bool {
	fields := map[string]bool{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = true
	}
	return fields
}

// Load reads the defaults from the chart's values file at path. It fails with [ErrMalformed] or the error of the file
// system.
func Load(path string) (Defaults, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Defaults{}, fmt.Errorf("reading the chart's values: %w", err)
	}
	d, err := Parse(content)
	if err != nil {
		return Defaults{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return d, nil
}

// Parse reads the defaults from the text of the chart's values.yaml. It fails with [ErrMalformed].
func Parse(values []byte) (Defaults, error) {
	content, err := yaml.YAMLToJSON(values)
	if err != nil {
		return Defaults{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var object map[string]any
	if err := utiljson.Unmarshal(content, &object); err != nil {
		return Defaults{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return FromValues(object)
}

// FromValues takes the defaults from the chart's values, with the overrides of the operator's configuration laid over
// them. Numbers may be of any Go type. It fails with [ErrMalformed].
func FromValues(values map[string]any) (Defaults, error) {
	// A copy through JSON has the types that defaulting works with, and shares nothing with the argument.
	content, err := utiljson.Marshal(values)
	if err != nil {
		return Defaults{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var file struct {
		Defaults typedDefaults `json:"defaults"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return Defaults{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	object := map[string]any{}
	if err := utiljson.Unmarshal(content, &object); err != nil {
		return Defaults{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	d := Defaults{plain: map[string]map[string]any{}, typed: file.Defaults}
	d.raw, _ = object["defaults"].(map[string]any)
	for version, fields := range specFields {
		d.plain[version] = map[string]any{}
		for name := range fields {
			if says := withoutNothing(object[name]); says != nil {
				d.plain[version][name] = says
			}
		}
	}
	return d, nil
}

// withoutNothing removes nulls and empty lists and maps, by which the values file says that there is no default.
func withoutNothing(value any) any {
	switch v := value.(type) {
	case []any:
		if len(v) == 0 {
			return nil
		}
	case map[string]any:
		for name, field := range v {
			if says := withoutNothing(field); says != nil {
				v[name] = says
			} else {
				delete(v, name)
			}
		}
		if len(v) == 0 {
			return nil
		}
	}
	return value
}
