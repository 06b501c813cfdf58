package validating

import (
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Methods of autoscaling.
const (
	noScaling  = "None"
	horizontal = "HPA"
	vertical   = "VPA"
)

// Modes of updates.
const (
	manual    = "manual"
	automatic = "automatic"
)

func (f *findings) scaling(spec *v1beta3.DataPowerServiceSpec) {
	f.updateStrategy(spec.UpdateStrategy, specPath.Child("updateStrategy"))
	scaling, path := spec.PodAutoScaling, specPath.Child("podAutoScaling")
	if scaling == nil {
		return
	}
	oneOf(f, path.Child("method"), scaling.Method, noScaling, horizontal, vertical)
	if scaling.Method == horizontal && scaling.HPA == nil {
		f.required(path.Child("hpa"), "hpa is required when method is HPA: give at least hpa.maxReplicas")
	}
	if scaling.Method == vertical && scaling.VPA == nil {
		f.required(path.Child("vpa"), "vpa is required when method is VPA: give upper bounds, or 'vpa: {}' for none")
	}
	if scaling.HPA != nil {
		f.hpa(scaling, path.Child("hpa"))
	}
	if scaling.VPA != nil {
		f.vpa(spec, path.Child("vpa"))
	}
}

func (f *findings) hpa(scaling *v1beta3.PodAutoScaling, path *field.Path) {
	hpa := scaling.HPA
	least := int32(1)
	if hpa.MinReplicas != nil {
		least = *hpa.MinReplicas
	}
	atLeast(f, path.Child("minReplicas"), hpa.MinReplicas, 1)
	if hpa.MaxReplicas <= least {
		f.invalid(path.Child("maxReplicas"), integerKind,
			"maxReplicas must be greater than minReplicas: raise maxReplicas or lower minReplicas")
	}
	cpu, memory := hpa.TargetCPUUtilizationPercentage, hpa.TargetMemoryUtilizationPercentage
	atLeast(f, path.Child("targetCPUUtilizationPercentage"), cpu, 0)
	atLeast(f, path.Child("targetMemoryUtilizationPercentage"), memory, 0)
	switch {
	case scaling.Method != horizontal:
		f.warn(path, "has no effect: method is not HPA")
	case (cpu != nil || memory != nil) && orEmpty(cpu) == 0 && orEmpty(memory) == 0:
		f.invalid(path, objectKind, "must have a target above 0 for CPU or memory: with 0 neither counts")
	}
}

func (f *findings) vpa(spec *v1beta3.DataPowerServiceSpec, path *field.Path) {
	requests := orEmpty(orEmpty(spec.Resources).Requests)
	f.notBelow(path.Child("maxAllowedCPU"), spec.PodAutoScaling.VPA.MaxAllowedCPU, requests.CPU, "requests.cpu")
	f.notBelow(path.Child("maxAllowedMemory"), spec.PodAutoScaling.VPA.MaxAllowedMemory, requests.Memory, "requests.memory")
	if spec.PodAutoScaling.Method != vertical {
		f.warn(path, "has no effect: method is not VPA")
	}
}

func (f *findings) notBelow(path *field.Path, most, request *resource.Quantity, name string) {
	if most != nil && (most.Sign() <= 0 || request != nil && most.Cmp(*request) < 0) {
		f.invalid(path, stringKind, "must not be below resources."+name+", which is the lower bound: raise it")
	}
}

func (f *findings) updateStrategy(strategy *v1beta3.UpdateStrategy, path *field.Path) {
	if strategy == nil {
		return
	}
	requiredOneOf(f, path.Child("mode"), strategy.Mode, manual, automatic)
	atLeast(f, path.Child("partition"), strategy.Partition, 0)
	atLeast(f, path.Child("rolloutHistoryLimit"), strategy.RolloutHistoryLimit, 0)
	if strategy.Mode == manual && strategy.Partition == nil {
		f.required(path.Child("partition"), "partition is required when mode is manual: pods with a smaller ordinal keep the old revision")
	}
	if strategy.Mode == automatic && strategy.Partition != nil {
		f.warn(path.Child("partition"), "has no effect: mode is automatic")
	}
	if strategy.Mode == manual && strategy.RolloutHistoryLimit != nil {
		f.warn(path.Child("rolloutHistoryLimit"), "has no effect: mode is manual")
	}
}
