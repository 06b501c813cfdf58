package validating

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// minimumCores is the least CPU request that v1beta1 accepts.
const minimumCores = 4

// ServiceV1beta1 validates a DataPowerService that users write as v1beta1, like [Service]. What it becomes in v1beta3 is
// validated, and what only v1beta1 has.
func ServiceV1beta1(svc, old *v1beta1.DataPowerService, catalogue Catalogue) (field.ErrorList, []string) {
	f := &findings{}
	sameSpec := old != nil && equality.Semantic.DeepEqual(old.Spec, svc.Spec)
	if svc.DeletionTimestamp != nil || !f.converted(svc, orNil(old), sameSpec, catalogue) {
		return f.errors, f.warnings
	}
	f.oldDomains(svc.Spec.Domains)
	if resources := svc.Spec.Resources; resources != nil {
		path := specPath.Child("resources")
		atLeast(f, path.Child("requests", "cpu"), orEmpty(resources.Requests).CPU, minimumCores)
		f.oldMemory(path.Child("requests", "memory"), orEmpty(resources.Requests).Memory)
		f.oldMemory(path.Child("limits", "memory"), orEmpty(resources.Limits).Memory)
	}
	f.monitorSettings(svc.Spec.DatapowerMonitor, specPath.Child("datapowerMonitor"))
	return f.errors, f.warnings
}

// ServiceV1beta2 validates a DataPowerService that users write as v1beta2, like [Service]. What it becomes in v1beta3 is
// validated, and what only v1beta2 has.
func ServiceV1beta2(svc, old *v1beta2.DataPowerService, catalogue Catalogue) (field.ErrorList, []string) {
	f := &findings{}
	sameSpec := old != nil && equality.Semantic.DeepEqual(old.Spec, svc.Spec)
	if svc.DeletionTimestamp != nil || !f.converted(svc, orNil(old), sameSpec, catalogue) {
		return f.errors, f.warnings
	}
	f.oldDomains(svc.Spec.Domains)
	if resources := svc.Spec.Resources; resources != nil {
		path := specPath.Child("resources")
		f.oldMemory(path.Child("requests", "memory"), orEmpty(resources.Requests).Memory)
		f.oldMemory(path.Child("limits", "memory"), orEmpty(resources.Limits).Memory)
	}
	return f.errors, f.warnings
}

// orNil makes an interface that is nil of a pointer that is nil.
func orNil[T any, P interface {
	*T
	runtime.Object
}](object P) runtime.Object {
	if object == nil {
		return nil
	}
	return object
}

// converted validates what a service becomes in v1beta3. It reports whether the fields that only its own version has
// are to be validated too.
func (f *findings) converted(svc, old runtime.Object, sameSpec bool, catalogue Catalogue) bool {
	current, stored := &v1beta3.DataPowerService{}, &v1beta3.DataPowerService{}
	err := conversion.Typed(svc, current)
	if old != nil && err == nil {
		err = conversion.Typed(old, stored)
	}
	switch {
	case err != nil:
		f.unconvertible(err)
		return false
	case old == nil:
		f.annotations(current, nil)
		f.name(current.Name)
	default:
		f.annotations(current, stored)
		f.immutable(&current.Spec, &stored.Spec)
	}
	if sameSpec {
		return false
	}
	f.license(&current.Spec, catalogue, accepted)
	f.spec(&current.Spec, catalogue)
	return true
}

func (f *findings) unconvertible(err error) {
	detail := "must be convertible to v1beta3"
	if errors.Is(err, conversion.ErrTooLarge) {
		detail = err.Error()
	}
	f.invalid(field.NewPath("metadata", "annotations"), objectKind, detail)
}

func (f *findings) oldDomains(domains []v1beta2.Domain) {
	for i, domain := range domains {
		if domain.DPApp != nil && len(domain.DPApp.Config) == 0 {
			f.required(specPath.Child("domains").Index(i).Child("dpApp", "config"), "name at least one ConfigMap, or use v1beta3")
		}
	}
}

func (f *findings) oldMemory(path *field.Path, text string) {
	if _, err := resource.ParseQuantity(text); text != "" && err != nil {
		f.invalid(path, stringKind, "must be a quantity, for example 8Gi")
	}
}

// Defaults of the settings of the monitor's Deployment: who has them may never have written them.
const (
	oldMonitorImage     = "docker.io/ibmcom/datapower-monitor:latest"
	oldMonitorProbePort = 8080
	oldXMLMgmtPort      = 5550
)

var oldMonitorResources = corev1.ResourceRequirements{
	Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
	Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("1Gi")},
}

// monitorSettings warns of settings that had a meaning for the Deployment that the monitor once was.
func (f *findings) monitorSettings(settings *v1beta1.DatapowerMonitorSettings, path *field.Path) {
	if settings == nil {
		return
	}
	for _, part := range []part{
		{"image", settings.Image != "" && settings.Image != oldMonitorImage},
		{"livenessProbePort", ptr.Deref(settings.LivenessProbePort, oldMonitorProbePort) != oldMonitorProbePort},
		{"resources", settings.Resources != nil && !equality.Semantic.DeepEqual(*settings.Resources, oldMonitorResources)}, {"env", len(settings.Env) > 0},
	} {
		if part.isSet {
			f.warn(path.Child(part.name), "has no effect: the monitor is part of the operator")
		}
	}
	if resources := settings.Resources; resources != nil {
		unique(f, path.Child("resources", "claims"), resources.Claims, "name", func(c *corev1.ResourceClaim) string { return c.Name })
	}
	if ptr.Deref(settings.XMLMgmtPort, oldXMLMgmtPort) != oldXMLMgmtPort {
		f.warn(path.Child("xmlMgmtPort"), "has no effect: the operator uses rest-mgmt")
	}
	f.shortInterval(path.Child("lifecycleDebounceMs"), settings.LifecycleDebounceMs)
	f.shortInterval(path.Child("peeringRecoveryCheckIntervalMs"), settings.PeeringRecoveryCheckIntervalMs)
}

func (f *findings) shortInterval(path *field.Path, value *int32) {
	if value != nil && *value < minimumInterval {
		f.warn(path, fmt.Sprintf("is too short: the DataPowerMonitor gets %d", minimumInterval))
	}
}
