package defaulting

import (
	"math"

	"k8s.io/apimachinery/pkg/runtime"
)

// handlers are the fields of a probe that say what to do. A probe has one of them.
var handlers = map[string]bool{"exec": true, "grpc": true, "httpGet": true, "tcpSocket": true}

// defaultPeriod is how often Kubernetes probes when nobody says, in seconds.
const defaultPeriod = 10

// fillProbe fills in the absent fields of a probe one by one, and the default handler when the user names none. A
// default handler without a port means the port of the health check.
func fillProbe(spec map[string]any, name string, d Defaults) {
	defaults, _ := d.raw[name].(map[string]any)
	if len(defaults) == 0 {
		return
	}
	probe := child(spec, name)
	if probe == nil {
		return
	}
	named := namesHandler(probe)
	for field, value := range defaults {
		if probe[field] != nil || named && handlers[field] {
			continue
		}
		absent(probe, field, value)
		handler, isHandler := probe[field].(map[string]any)
		if port := healthPort(spec, d); isHandler && field != "exec" && port != nil {
			absent(handler, "port", port)
		}
	}
}

func namesHandler(probe map[string]any) bool {
	for handler := range handlers {
		if probe[handler] != nil {
			return true
		}
	}
	return false
}

// fillLivenessProbe also adapts the probe to the watchdog: a probe that names no failureThreshold fails for at least
// the hard timeout before the container is restarted.
func fillLivenessProbe(spec map[string]any, d Defaults) {
	given := at(spec, "livenessProbe", "failureThreshold")
	fillProbe(spec, "livenessProbe", d)
	probe, _ := spec["livenessProbe"].(map[string]any)
	hard := hardTimeout(spec, d)
	if probe == nil || given != nil || hard == 0 {
		return
	}
	period, isSet := number(probe["periodSeconds"])
	if !isSet {
		period = defaultPeriod
	}
	probe["failureThreshold"] = int64(math.Ceil(hard / period))
}

// hardTimeout is the watchdog's hard timeout in seconds, 0 when the watchdog is off.
func hardTimeout(spec map[string]any, d Defaults) float64 {
	watchdog, _ := at(spec, "healthCheck", "watchdog").(map[string]any)
	if watchdog["enabled"] != true {
		return 0
	}
	if given, isSet := number(watchdog["hardTimeoutSeconds"]); isSet {
		return given
	}
	if hard := d.typed.HealthCheck.HardTimeoutSeconds; hard != nil {
		return float64(*hard)
	}
	return 0
}

// healthPort is the port of the health check, nil when neither the user nor the chart says it.
func healthPort(spec map[string]any, d Defaults) any {
	given := at(spec, "healthCheck", "probe", "port")
	if _, isSet := number(given); isSet {
		return runtime.DeepCopyJSONValue(given)
	}
	if port := d.typed.HealthCheck.Port; port != nil {
		return *port
	}
	return nil
}
