package validating

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// minimumTimeout is the least that the watchdog's timeouts may be, in seconds.
const minimumTimeout = 20

// minimumReadinessTimeout is the least that readinessTimeoutSeconds may be.
const minimumReadinessTimeout = 60

// container validates the fields that describe the DataPower container.
func (f *findings) container(spec *v1beta3.DataPowerServiceSpec) {
	if strings.TrimSpace(spec.Image) != spec.Image {
		f.invalid(specPath.Child("image"), stringKind, "must not start or end with white space: remove it")
	}
	oneOf(f, specPath.Child("imagePullPolicy"), spec.ImagePullPolicy, corev1.PullAlways, corev1.PullNever, corev1.PullIfNotPresent)
	f.objects(specPath.Child("extraExe"), spec.ExtraExe, "ConfigMap")
	f.env(spec.Env, specPath.Child("env"))
	if hooks := spec.Lifecycle; hooks != nil {
		f.hook(hooks.PostStart, specPath.Child("lifecycle", "postStart"))
		f.hook(hooks.PreStop, specPath.Child("lifecycle", "preStop"))
	}
}

func (f *findings) env(env []corev1.EnvVar, path *field.Path) {
	last := map[string]int{}
	for i, variable := range env {
		last[variable.Name] = i
		at := path.Index(i)
		if len(validation.IsRelaxedEnvVarName(variable.Name)) > 0 {
			f.invalid(at.Child("name"), stringKind, "must be the name of an environment variable: printable ASCII without '='")
		}
		if variable.ValueFrom != nil {
			f.envSource(variable, at.Child("valueFrom"))
		}
	}
	for i, variable := range env {
		if last[variable.Name] != i {
			f.warn(path.Index(i), "has no effect: a later variable has the same name")
		}
	}
}

func (f *findings) envSource(variable corev1.EnvVar, path *field.Path) {
	source := variable.ValueFrom
	sources := set(source.FieldRef != nil, source.ResourceFieldRef != nil, source.ConfigMapKeyRef != nil,
		source.SecretKeyRef != nil, source.FileKeyRef != nil)
	if sources != 1 {
		f.invalid(path, objectKind, "must have exactly one source: name one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef")
	}
	if variable.Value != "" {
		f.invalid(path, objectKind, "value and valueFrom exclude each other: remove one")
	}
	if ref := source.ConfigMapKeyRef; ref != nil {
		f.requiredObject(path.Child("configMapKeyRef", "name"), ref.Name, "ConfigMap")
	}
	if ref := source.SecretKeyRef; ref != nil {
		f.requiredObject(path.Child("secretKeyRef", "name"), ref.Name, "Secret")
	}
}

func (f *findings) hook(hook *corev1.LifecycleHandler, path *field.Path) {
	if hook == nil {
		return
	}
	if set(hook.Exec != nil, hook.HTTPGet != nil, hook.TCPSocket != nil, hook.Sleep != nil) != 1 {
		f.invalid(path, objectKind, "must have exactly one handler: name one of exec, httpGet, tcpSocket and sleep")
	}
}

// probes validates both probes and what else restarts a container.
func (f *findings) probes(spec *v1beta3.DataPowerServiceSpec) {
	atLeast(f, specPath.Child("readinessTimeoutSeconds"), spec.ReadinessTimeoutSeconds, minimumReadinessTimeout)
	liveness, readiness := specPath.Child("livenessProbe"), specPath.Child("readinessProbe")
	f.probe(spec.LivenessProbe, liveness)
	f.probe(spec.ReadinessProbe, readiness)
	if probe := spec.LivenessProbe; probe != nil && probe.SuccessThreshold > 1 {
		f.invalid(liveness.Child("successThreshold"), integerKind, "must be 1: Kubernetes allows no other number for a liveness probe")
	}
	if probe := spec.ReadinessProbe; probe != nil && probe.TerminationGracePeriodSeconds != nil {
		f.invalid(readiness.Child("terminationGracePeriodSeconds"), integerKind, "must not be set: a readiness probe ends no container")
	}
}

func (f *findings) probe(probe *corev1.Probe, path *field.Path) {
	if probe == nil {
		return
	}
	if set(probe.Exec != nil, probe.HTTPGet != nil, probe.TCPSocket != nil, probe.GRPC != nil) > 1 {
		f.invalid(path, objectKind, "must have at most one handler: keep one of exec, httpGet, tcpSocket and grpc")
	}
	atLeast(f, path.Child("initialDelaySeconds"), &probe.InitialDelaySeconds, 0)
	atLeast(f, path.Child("periodSeconds"), &probe.PeriodSeconds, 0)
	atLeast(f, path.Child("timeoutSeconds"), &probe.TimeoutSeconds, 0)
	atLeast(f, path.Child("successThreshold"), &probe.SuccessThreshold, 0)
	atLeast(f, path.Child("failureThreshold"), &probe.FailureThreshold, 0)
	if probe.Exec != nil && len(probe.Exec.Command) == 0 {
		f.required(path.Child("exec", "command"), "say which command to run")
	}
	if probe.HTTPGet != nil {
		f.handlerPort(path.Child("httpGet", "port"), probe.HTTPGet.Port)
	}
	if probe.TCPSocket != nil {
		f.handlerPort(path.Child("tcpSocket", "port"), probe.TCPSocket.Port)
	}
	if probe.GRPC != nil {
		f.port(path.Child("grpc", "port"), &probe.GRPC.Port)
	}
}

// handlerPort requires the number of a port or the name of one of the container's ports.
func (f *findings) handlerPort(path *field.Path, port intstr.IntOrString) {
	if port.Type == intstr.Int {
		f.port(path, &port.IntVal)
		return
	}
	if len(validation.IsValidPortName(port.StrVal)) > 0 {
		f.invalid(path, stringKind, "must be the name of a port: at most 15 lower-case letters, digits and '-'")
	}
}

func (f *findings) healthCheck(check *v1beta3.HealthCheck, path *field.Path) {
	if check == nil {
		return
	}
	oneOf(f, path.Child("logLevel"), check.LogLevel, "debug", "info", "warn", "error", "dpanic", "panic", "fatal")
	if check.Probe != nil {
		f.port(path.Child("probe", "port"), check.Probe.Port)
	}
	watchdog, at := check.Watchdog, path.Child("watchdog")
	if watchdog == nil {
		return
	}
	soft, hard := watchdog.SoftTimeoutSeconds, watchdog.HardTimeoutSeconds
	atLeast(f, at.Child("softTimeoutSeconds"), soft, minimumTimeout)
	atLeast(f, at.Child("hardTimeoutSeconds"), hard, minimumTimeout)
	if soft != nil && hard != nil && *soft >= *hard {
		f.invalid(at.Child("softTimeoutSeconds"), integerKind,
			"softTimeoutSeconds must be less than hardTimeoutSeconds: warnings come before the restart")
	}
	if !watchdog.Enabled && (soft != nil || hard != nil) {
		f.warn(at, "has no effect: enabled is false")
	}
}

// set counts what is true.
func set(conditions ...bool) int {
	count := 0
	for _, condition := range conditions {
		if condition {
			count++
		}
	}
	return count
}
