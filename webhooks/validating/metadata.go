package validating

import (
	"fmt"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// minimumPause is the shortest pause that the operator accepts.
const minimumPause = time.Minute

// serviceName is the form of a service's name: a Kubernetes Service is named after it.
var serviceName = regexp.MustCompile(`^[a-z][-a-z0-9]*$`)

func (f *findings) name(name string) {
	path := field.NewPath("metadata", "name")
	if len(name) > datapower.MaxServiceNameLength {
		f.invalid(path, stringKind, fmt.Sprintf("metadata.name must have at most %d characters, because names of pods and "+
			"labels are built from it: choose a shorter name", datapower.MaxServiceNameLength))
	}
	if name != "" && !serviceName.MatchString(name) {
		f.invalid(path, stringKind, "metadata.name must start with a letter and contain only lower-case letters, digits and "+
			"'-', because a Service is named after it: choose another name")
	}
}

// annotations validates those annotations that steer the operator, as far as the update changes them.
func (f *findings) annotations(svc, old *v1beta3.DataPowerService) {
	path := field.NewPath("metadata", "annotations")
	changed := func(key string) (string, bool) {
		value, isSet := svc.Annotations[key]
		if !isSet || old == nil {
			return value, isSet
		}
		was, wasSet := old.Annotations[key]
		return value, !wasSet || was != value
	}
	if value, isSet := changed(datapower.PauseAnnotation); isSet && value != "true" && value != "false" {
		if pause, err := time.ParseDuration(value); err != nil || pause < minimumPause {
			f.invalid(path.Key(datapower.PauseAnnotation), stringKind, `must be "true" or a duration of at least 1m, for example "2h"`)
		}
	}
	for _, key := range []string{datapower.StopAnnotation, datapower.HibernateAnnotation} {
		if value, isSet := changed(key); isSet && value != "true" && value != "false" {
			f.warn(path.Key(key), `should be "true" or "false"; another value may have no effect`)
		}
	}
}
