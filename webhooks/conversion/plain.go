package conversion

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Names of the versions.
const (
	beta1 = "v1beta1"
	beta2 = "v1beta2"
	hub   = "v1beta3"
)

// minimumCPU is the least CPU request that v1beta1 can hold, in cores.
const minimumCPU = 4

// shapes of spec and status by version.
var shapes = map[string]*shape{
	beta1: bodyShape[v1beta1.DataPowerServiceSpec, v1beta1.DataPowerServiceStatus]().schemalessAffinity(),
	beta2: bodyShape[v1beta2.DataPowerServiceSpec, v1beta2.DataPowerServiceStatus]().schemalessAffinity(),
	hub:   bodyShape[v1beta3.DataPowerServiceSpec, v1beta3.DataPowerServiceStatus](),
}

// currentNames gives the names of today for channels that were renamed. The chart's catalogue has the same in
// catalogue.aliases.
var currentNames = map[string]string{
	"10.0.0":   "10.0-cd",
	"10.0.1":   "10.0-lts",
	"10.0-eus": "10.0-lts",
}

// body is spec and status of a service; a key is missing when the object has none.
type body = map[string]any

// up maps the body of an old version to the hub, as far as the hub can hold it. The argument is used up.
func up(from string, b body) body {
	if spec, ok := b["spec"].(map[string]any); ok {
		renameChannel(spec)
		forItems(spec, "storage", filesystemMode)
	}
	if status, ok := b["status"].(map[string]any); ok {
		rename(status, "nodes", "pods")
		if from == beta1 {
			forItems(status, "conditions", swapErrorCondition)
		}
	}
	return fitted(hub, b)
}

// down maps the body of the hub to an old version, as far as that can hold it. What its schema would refuse is left
// out, so that users can edit and write what they read. The argument is used up.
func down(to string, b body) body {
	if spec, ok := b["spec"].(map[string]any); ok {
		forItems(spec, "domains", dropUnconfiguredApp)
		if resources, ok := spec["resources"].(map[string]any); ok {
			textMemory(resources)
			if to == beta1 {
				wholeCPU(resources)
			}
		}
	}
	if status, ok := b["status"].(map[string]any); ok {
		rename(status, "pods", "nodes")
		if to == beta1 {
			forItems(status, "conditions", swapErrorCondition)
		}
	}
	return fitted(to, b)
}

// fitted is what of the body a version can hold.
func fitted(version string, b body) body {
	out, _ := shapes[version].fit(b)
	return out.(map[string]any) // The shape of a body is an object, and so is a body.
}

// forItems calls a function for each object in a list field.
func forItems(parent map[string]any, field string, change func(map[string]any)) {
	items, _ := parent[field].([]any)
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			change(object)
		}
	}
}

// rename moves a field to another name.
func rename(object map[string]any, from, to string) {
	if value, ok := object[from]; ok {
		delete(object, from)
		object[to] = value
	}
}

func renameChannel(spec map[string]any) {
	version, _ := spec["version"].(string)
	if current, renamed := currentNames[version]; renamed {
		spec["version"] = current
	}
}

// filesystemMode rewrites volume mode Block: a gateway cannot use it, and operators since 1.2 never asked for it.
func filesystemMode(storage map[string]any) {
	if storage["volumeMode"] == string(corev1.PersistentVolumeBlock) {
		storage["volumeMode"] = string(corev1.PersistentVolumeFilesystem)
	}
}

// swapErrorCondition exchanges the names of the condition that tells of errors. Neither version uses the other's
// name, so exchanging is renaming that cannot make two conditions of one type.
func swapErrorCondition(condition map[string]any) {
	switch condition["type"] {
	case datapower.ConditionError:
		condition["type"] = datapower.ConditionReconcileError
	case datapower.ConditionReconcileError:
		condition["type"] = datapower.ConditionError
	}
}

// dropUnconfiguredApp removes a dpApp without config, which the old versions require.
func dropUnconfiguredApp(domain map[string]any) {
	app, _ := domain["dpApp"].(map[string]any)
	if config, _ := app["config"].([]any); len(config) == 0 {
		delete(domain, "dpApp")
	}
}

// textMemory writes quantities of memory as text, the only form that the old versions have.
func textMemory(resources map[string]any) {
	for _, half := range []string{"requests", "limits"} {
		if quantities, ok := resources[half].(map[string]any); ok {
			if text, ok := numberText(quantities["memory"]); ok {
				quantities["memory"] = text
			}
		}
	}
}

// wholeCPU writes the CPU request as a number of cores, and removes one that v1beta1 cannot say: a fraction, or less
// than four.
func wholeCPU(resources map[string]any) {
	requests, _ := resources["requests"].(map[string]any)
	if requests["cpu"] == nil {
		return
	}
	quantity, _ := quantityOf(requests["cpu"])
	cores := quantity.Value() // rounded up
	if cores < minimumCPU || quantity.CmpInt64(cores) != 0 {
		delete(requests, "cpu")
		return
	}
	requests["cpu"] = cores
}
