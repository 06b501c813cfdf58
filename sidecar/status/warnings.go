//lint:file-ignore SA1019 it is about fields that are deprecated

package status

import (
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// exactVersion is the form of an exact version, for example 10.6.0.1 or
// 10.0.4.0sr1; what has another form is a channel, and the chart refuses those
// that it does not know.
var exactVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(sr[0-9]+|\.[0-9]+)?$`)

// warningsOf lists what works but is not what the user may think.
func warningsOf(in Input) []string {
	return slices.Concat(controlWarnings(in), ignoredFields(in), versionWarnings(in), licenseWarnings(in))
}

// controlWarnings tell of annotations that keep the service from being what
// its spec says. The words about a pause are those of the existing operator.
func controlWarnings(in Input) []string {
	var warnings []string
	annotations := in.Service.Annotations
	switch until := annotations[datapower.PauseExpirationAnnotation]; {
	case until != "" && annotations[datapower.PauseAnnotation] != "":
		warnings = append(warnings, "Reconciliation is paused until "+until)
	case annotations[datapower.PauseAnnotation] == "true":
		warnings = append(warnings, "Reconciliation is paused indefinitely")
	}
	if annotations[datapower.StopAnnotation] == "true" {
		warnings = append(warnings, "the service is stopped by annotation "+datapower.StopAnnotation)
	}
	if annotations[datapower.HibernateAnnotation] == "true" {
		warnings = append(warnings, "the service hibernates by annotation "+datapower.HibernateAnnotation)
	}
	return warnings
}

// ignoredFields lists fields that are set and have no effect.
func ignoredFields(in Input) []string {
	var warnings []string
	spec := in.Service.Spec
	if spec.ODTracing != nil {
		warnings = append(warnings, "spec.odTracing is deprecated and ignored")
	}
	if spec.JaegerTracing != nil {
		warnings = append(warnings, "spec.jaegerTracing is deprecated and ignored")
	}
	if spec.CreateServiceBinding == "always" {
		// The default, automatic, leaves it to the operator, and never is obeyed.
		warnings = append(warnings, `spec.createServiceBinding "always" is ignored, this operator makes no DataPowerServiceBinding`)
	}
	if a := spec.PodAutoScaling; a != nil && a.Method == "HPA" && ptr.Deref(spec.Replicas, 1) > 1 {
		warnings = append(warnings, "spec.replicas has no effect while spec.podAutoScaling.method is HPA")
	}
	for i, storage := range spec.Storage {
		// Filesystem is what every volume is, so asking for it is harmless.
		if storage.VolumeMode != "" && storage.VolumeMode != string(corev1.PersistentVolumeFilesystem) {
			warnings = append(warnings,
				fmt.Sprintf("spec.storage[%d].volumeMode %q is ignored, the mode is always Filesystem", i, storage.VolumeMode))
		}
	}
	return warnings
}

func versionWarnings(in Input) []string {
	version := in.Service.Spec.Version
	_, known := in.Catalogue.Resolve(version)
	if known || !exactVersion.MatchString(version) {
		return nil
	}
	return []string{fmt.Sprintf("spec.version %q is not in the catalogue", version)}
}

// licenseWarnings speaks up only where the catalogue knows better: a version
// without licences or a licence without uses proves nothing.
func licenseWarnings(in Input) []string {
	spec := in.Service.Spec
	id, use := spec.License.License, string(spec.License.Use)
	if id == "" {
		return nil
	}
	license, known := in.Catalogue.License(id)
	if !known {
		return []string{fmt.Sprintf("spec.license.license %q is not in the catalogue", id)}
	}
	var warnings []string
	if len(license.Uses) > 0 && !license.Covers(use) {
		warnings = append(warnings, fmt.Sprintf("spec.license.license %q is not for spec.license.use %q", id, use))
	}
	if ids := in.Catalogue.LicensesOf(spec.Version); len(ids) > 0 && !slices.Contains(ids, id) {
		warnings = append(warnings, fmt.Sprintf("spec.license.license %q is not for spec.version %q", id, spec.Version))
	}
	return warnings
}
