package validating

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// fips is the cryptographic mode that knows no md5.
const fips = "fips-140-3-l1"

// gateway validates settings of DataPower itself.
func (f *findings) gateway(spec *v1beta3.DataPowerServiceSpec) {
	oneOf(f, specPath.Child("cryptoMode"), spec.CryptoMode, "permissive", fips)
	if rbm := spec.RBM; rbm != nil {
		path := specPath.Child("rbm", "passwordHashAlgorithm")
		oneOf(f, path, rbm.PasswordHashAlgorithm, "md5", "sha256")
		if rbm.PasswordHashAlgorithm == "md5" && spec.CryptoMode == fips {
			f.warn(path, "may keep users out: cryptoMode "+fips+" knows no md5")
		}
	}
	f.snmp(spec.SNMP, specPath.Child("snmp"))
	oneOf(f, specPath.Child("createServiceBinding"), spec.CreateServiceBinding, "automatic", "always", "never")
	if spec.CreateServiceBinding != "" {
		f.warn(specPath.Child("createServiceBinding"), "is ignored: this operator makes no DataPowerServiceBinding")
	}
}

func (f *findings) snmp(snmp *v1beta3.SNMP, path *field.Path) {
	if snmp == nil {
		return
	}
	if snmp.Config == nil && snmp.Exporter == nil && snmp.Generator == nil {
		f.warn(path, "has no effect: it is empty")
	}
	if snmp.Config != nil {
		f.port(path.Child("config", "port"), snmp.Config.Port)
	}
	exports := snmp.Exporter != nil && snmp.Exporter.Enabled
	if snmp.Exporter != nil {
		f.port(path.Child("exporter", "port"), snmp.Exporter.Port)
		if !exports && snmp.Exporter.Port != nil {
			f.warn(path.Child("exporter", "port"), "has no effect: the exporter is not enabled")
		}
	}
	if snmp.Generator != nil {
		f.requiredObject(path.Child("generator", "config"), snmp.Generator.Config, "ConfigMap")
		if !exports {
			f.warn(path.Child("generator"), "has no effect: the exporter is not enabled")
		}
	}
}

// tracing validates fields that are accepted and ignored.
func (f *findings) tracing(spec *v1beta3.DataPowerServiceSpec) {
	const ignored = "is deprecated and ignored: the feature is gone from DataPower"
	//lint:ignore SA1019 what is ignored is still validated, and warned of
	od, jaeger := spec.ODTracing, spec.JaegerTracing
	if od != nil {
		path := specPath.Child("odTracing")
		f.warn(path, ignored)
		for _, part := range []struct{ name, value string }{
			{"imageAgent", od.ImageAgent}, {"imageCollector", od.ImageCollector},
			{"odTracingDataHostname", od.ODTracingDataHostname}, {"odTracingRegistrationHostname", od.ODTracingRegistrationHostname},
		} {
			if part.value == "" {
				f.required(path.Child(part.name), "set it, or remove odTracing, which is ignored")
			}
		}
	}
	if jaeger != nil {
		path := specPath.Child("jaegerTracing")
		f.warn(path, ignored)
		oneOf(f, path.Child("agentPullPolicy"), jaeger.AgentPullPolicy,
			string(corev1.PullAlways), string(corev1.PullNever), string(corev1.PullIfNotPresent))
		oneOf(f, path.Child("propagationFormat"), jaeger.PropagationFormat, "jaeger", "w3c")
		oneOf(f, path.Child("samplingType"), jaeger.SamplingType, "remote", "const", "ratelimiting", "probabilistic")
	}
}
