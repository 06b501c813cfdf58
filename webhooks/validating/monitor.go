package validating

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
)

const (
	// minimumInterval is the least that the times of a monitor may be, in milliseconds.
	minimumInterval = 1000
	// defaultInterval is the default of peeringRecoveryCheckIntervalMs.
	defaultInterval = 1000
)

// Monitor validates a DataPowerMonitor that is created (old is nil) or updated from old. serviceExists says that the
// DataPowerService of the same name is there already; it only matters for a creation. A monitor that is being deleted is
// not validated, and neither is a spec that the update leaves as it was.
func Monitor(monitor, old *v1beta2.DataPowerMonitor, serviceExists bool) (field.ErrorList, []string) {
	if monitor.DeletionTimestamp != nil || old != nil && equality.Semantic.DeepEqual(old.Spec, monitor.Spec) {
		return nil, nil
	}
	f := &findings{}
	spec := monitor.Spec
	atLeast(f, specPath.Child("lifecycleDebounceMs"), spec.LifecycleDebounceMs, minimumInterval)
	atLeast(f, specPath.Child("peeringRecoveryCheckIntervalMs"), spec.PeeringRecoveryCheckIntervalMs, minimumInterval)
	interval := spec.PeeringRecoveryCheckIntervalMs
	if !isTrue(spec.MonitorGatewayPeering) && interval != nil && *interval != defaultInterval {
		f.warn(specPath.Child("peeringRecoveryCheckIntervalMs"), "has no effect: monitorGatewayPeering is false")
	}
	f.restManagement(spec.RestManagement, isTrue(spec.MonitorGatewayPeering))
	if old == nil {
		f.monitorName(monitor.Name, serviceExists)
	}
	return f.errors, f.warnings
}

// restManagement checks how gateways are reached. used says that somebody reaches for them.
func (f *findings) restManagement(settings *v1beta2.RestManagement, used bool) {
	if settings == nil {
		return
	}
	path := specPath.Child("restManagement")
	if !used {
		f.warn(path, "has no effect: monitorGatewayPeering is false")
	}
	f.port(path.Child("port"), settings.Port)
	if settings.TLS == nil {
		return
	}
	path = path.Child("tls")
	insecure := isTrue(settings.TLS.InsecureSkipVerify)
	f.object(path.Child("secretName"), settings.TLS.SecretName, "Secret")
	f.length(path.Child("serverName"), settings.TLS.ServerName, maxNameLength)
	if insecure && settings.TLS.SecretName != "" {
		f.forbidden(path.Child("insecureSkipVerify"), "excludes secretName: remove insecureSkipVerify to verify the gateways")
	}
	if insecure && settings.TLS.ServerName != "" {
		f.warn(path.Child("serverName"), "has no effect: insecureSkipVerify is true")
	}
	if insecure {
		f.warn(path.Child("insecureSkipVerify"),
			"lets whoever can redirect the operator's connections learn the administrator's password: name a Secret with ca.crt or tls.crt in secretName instead")
	}
}

// monitorName warns of a monitor that no service has or that comes late. The names link the two.
func (f *findings) monitorName(name string, serviceExists bool) {
	path := field.NewPath("metadata", "name")
	if len(name) > datapower.MaxServiceNameLength || name != "" && !serviceName.MatchString(name) {
		f.warn(path, "can be the name of no DataPowerService: the monitor will have none to watch")
	}
	if serviceExists {
		f.warn(path, "is that of a DataPowerService that exists: make the monitor first, else the operator makes it")
	}
}
