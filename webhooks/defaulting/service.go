package defaulting

import (
	"k8s.io/apimachinery/pkg/runtime"
)

// fillService fills the defaults of a version into a spec. The version decides which fields there are. keepResources
// says that resources wait for their way back to v1beta3, because this version cannot show them: a default in their
// place would replace them.
func fillService(version string, spec map[string]any, d Defaults, keepResources bool) {
	coalesce(spec, d.plain[version])
	if users, _ := spec["users"].([]any); len(users) == 0 && len(d.typed.Users) > 0 {
		spec["users"] = runtime.DeepCopyJSONValue(d.raw["users"])
	}
	absent(spec, "affinity", d.raw["affinity"])
	fillHealthCheck(spec, d.typed)
	if !keepResources {
		fillResources(version, spec, d)
	}
	fillProbe(spec, "readinessProbe", d)
	fillLivenessProbe(spec, d)
	fillSNMP(spec, d.typed)
	fillScaling(spec, d.typed)
	if version == "v1beta1" {
		fillMonitorSettings(spec)
	}
}

// coalesce fills what from has into the gaps of object, level by level, as Helm does.
func coalesce(object, from map[string]any) {
	for name, value := range from {
		existing, isMap := object[name].(map[string]any)
		if defaults, both := value.(map[string]any); isMap && both {
			coalesce(existing, defaults)
			continue
		}
		absent(object, name, value)
	}
}

// absent sets a field that is not set. A value of nil leaves it so.
func absent(object map[string]any, name string, value any) {
	if object[name] == nil && value != nil {
		object[name] = runtime.DeepCopyJSONValue(value)
	}
}

// absentPointer is absent for a default that may be missing.
func absentPointer[T any](object map[string]any, name string, value *T) {
	if value != nil {
		absent(object, name, *value)
	}
}

// child returns a field that is an object, and makes it if it is not set. It returns nil when the field is something
// else.
func child(object map[string]any, name string) map[string]any {
	if object[name] == nil {
		object[name] = map[string]any{}
	}
	out, _ := object[name].(map[string]any)
	return out
}

// at returns what a path of field names leads to, nil when there is nothing.
func at(object map[string]any, path ...string) any {
	var value any = object
	for _, name := range path {
		inner, _ := value.(map[string]any)
		value = inner[name]
	}
	return value
}

// number returns a number that is not 0, which templates take for "not set".
func number(value any) (float64, bool) {
	switch n := value.(type) {
	case int64:
		return float64(n), n != 0
	case float64:
		return n, n != 0
	default:
		return 0, false
	}
}

// fillHealthCheck fills in the settings of a health check that the user set up.
func fillHealthCheck(spec map[string]any, d typedDefaults) {
	check, isSet := spec["healthCheck"].(map[string]any)
	if !isSet {
		return
	}
	absentPointer(check, "logLevel", d.HealthCheck.LogLevel)
	if d.HealthCheck.Port != nil {
		if probe := child(check, "probe"); probe != nil {
			absent(probe, "port", *d.HealthCheck.Port)
		}
	}
	if watchdog, _ := check["watchdog"].(map[string]any); watchdog["enabled"] == true {
		fillWatchdog(watchdog, d.HealthCheck.SoftTimeoutSeconds, d.HealthCheck.HardTimeoutSeconds)
	}
}

// fillWatchdog fills in the timeouts. One that would not fit the other, which the user set, stays absent: the schema
// wants soft below hard, and the chart knows what to do.
func fillWatchdog(watchdog map[string]any, soft, hard *int64) {
	if given, isSet := number(watchdog["softTimeoutSeconds"]); hard != nil && (!isSet || given < float64(*hard)) {
		absent(watchdog, "hardTimeoutSeconds", *hard)
	}
	if limit, isSet := number(watchdog["hardTimeoutSeconds"]); soft != nil && isSet && float64(*soft) < limit {
		absent(watchdog, "softTimeoutSeconds", *soft)
	}
}

// fillSNMP fills in the ports of an agent that the user switched on; an empty snmp does not.
func fillSNMP(spec map[string]any, d typedDefaults) {
	snmp, _ := spec["snmp"].(map[string]any)
	if len(snmp) == 0 {
		return
	}
	if d.SNMP.Port != nil {
		if config := child(snmp, "config"); config != nil {
			absent(config, "port", *d.SNMP.Port)
		}
	}
	if exporter, _ := snmp["exporter"].(map[string]any); exporter["enabled"] == true {
		absentPointer(exporter, "port", d.SNMP.ExporterPort)
	}
}

// fillScaling fills in the target of an autoscaler that has none and the history of automatic updates.
func fillScaling(spec map[string]any, d typedDefaults) {
	if hpa, isSet := at(spec, "podAutoScaling", "hpa").(map[string]any); isSet && at(spec, "podAutoScaling", "method") == "HPA" {
		if hpa["targetMemoryUtilizationPercentage"] == nil {
			absentPointer(hpa, "targetCPUUtilizationPercentage", d.PodAutoScaling.TargetCPU)
		}
	}
	if strategy, _ := spec["updateStrategy"].(map[string]any); strategy["mode"] == "automatic" {
		absentPointer(strategy, "rolloutHistoryLimit", d.UpdateStrategy.RolloutHistoryLimit)
	}
}

// fillMonitorSettings fills in the documented defaults of v1beta1's datapowerMonitor. Only those that a
// DataPowerMonitor has mean anything today, and they are the same there.
func fillMonitorSettings(spec map[string]any) {
	settings, isSet := spec["datapowerMonitor"].(map[string]any)
	if !isSet {
		return
	}
	fillMonitor(settings)
	absent(settings, "image", "docker.io/ibmcom/datapower-monitor:latest")
	absent(settings, "livenessProbePort", int64(8080))
	absent(settings, "xmlMgmtPort", int64(5550))
	absent(settings, "resources", map[string]any{
		"requests": map[string]any{"cpu": "250m", "memory": "256Mi"},
		"limits":   map[string]any{"cpu": "500m", "memory": "1Gi"},
	})
}
