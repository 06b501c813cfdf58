// SPDX-License-Identifier: Apache-2.0

package v1beta3

import "k8s.io/apimachinery/pkg/runtime"

// ODTracing was the set-up of tracing for Cloud Pak for Integration.
// Accepted and ignored.
type ODTracing struct {
	// Enabled switched tracing on.
	// Deprecated: accepted and ignored.
	// +required
	Enabled bool `json:"enabled"`

	// ImageAgent was the agent's image.
	// Deprecated: accepted and ignored.
	// +required
	// +kubebuilder:validation:MinLength=1
	ImageAgent string `json:"imageAgent"`

	// ImageCollector was the collector's image.
	// Deprecated: accepted and ignored.
	// +required
	// +kubebuilder:validation:MinLength=1
	ImageCollector string `json:"imageCollector"`

	// ImagePullPolicy of both images.
	// Deprecated: accepted and ignored.
	// +required
	ImagePullPolicy string `json:"imagePullPolicy"`

	// ODTracingDataHostname was the host of the data store.
	// Deprecated: accepted and ignored.
	// +required
	// +kubebuilder:validation:MinLength=1
	ODTracingDataHostname string `json:"odTracingDataHostname"`

	// ODTracingRegistrationHostname was the host of the registration.
	// Deprecated: accepted and ignored.
	// +required
	// +kubebuilder:validation:MinLength=1
	ODTracingRegistrationHostname string `json:"odTracingRegistrationHostname"`

	// Agent held the probes of the agent.
	// Deprecated: accepted and ignored.
	// +optional
	Agent *TracingProbes `json:"agent,omitempty"`

	// Collector held the probes of the collector.
	// Deprecated: accepted and ignored.
	// +optional
	Collector *TracingProbes `json:"collector,omitempty"`
}

// TracingProbes were the probes of a tracing container.
// Accepted and ignored.
type TracingProbes struct {
	// LivenessProbe of the container.
	// Deprecated: accepted and ignored.
	// +optional
	LivenessProbe *TracingProbe `json:"livenessProbe,omitempty"`

	// ReadinessProbe of the container.
	// Deprecated: accepted and ignored.
	// +optional
	ReadinessProbe *TracingProbe `json:"readinessProbe,omitempty"`
}

// TracingProbe was the timing of a probe.
// Accepted and ignored.
type TracingProbe struct {
	// FailureThreshold of the probe.
	// Deprecated: accepted and ignored.
	// +optional
	FailureThreshold *int32 `json:"failureThreshold,omitempty"`

	// InitialDelaySeconds of the probe.
	// Deprecated: accepted and ignored.
	// +optional
	InitialDelaySeconds *int32 `json:"initialDelaySeconds,omitempty"`

	// PeriodSeconds of the probe.
	// Deprecated: accepted and ignored.
	// +optional
	PeriodSeconds *int32 `json:"periodSeconds,omitempty"`

	// TimeoutSeconds of the probe.
	// Deprecated: accepted and ignored.
	// +optional
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
}

// JaegerTracing was the set-up of a Jaeger agent.
// Accepted and ignored.
type JaegerTracing struct {
	// AgentImage was the agent's image.
	// Deprecated: accepted and ignored.
	// +optional
	AgentImage string `json:"agentImage,omitempty"`

	// AgentLivenessProbe of the agent.
	// Deprecated: accepted and ignored.
	// +optional
	AgentLivenessProbe *TracingProbe `json:"agentLivenessProbe,omitempty"`

	// AgentPullPolicy of the agent's image.
	// Deprecated: accepted and ignored.
	// +optional
	// +kubebuilder:validation:Enum=Always;Never;IfNotPresent
	AgentPullPolicy string `json:"agentPullPolicy,omitempty"`

	// AgentReadinessProbe of the agent.
	// Deprecated: accepted and ignored.
	// +optional
	AgentReadinessProbe *TracingProbe `json:"agentReadinessProbe,omitempty"`

	// Env of the agent.
	// Deprecated: accepted and ignored.
	// +optional
	// +listType=atomic
	Env []TracingEnvVar `json:"env,omitempty"`

	// JaegerCollectorEndpoint was the address of the collector.
	// Deprecated: accepted and ignored.
	// +optional
	JaegerCollectorEndpoint string `json:"jaegerCollectorEndpoint,omitempty"`

	// PropagationFormat of trace headers.
	// Deprecated: accepted and ignored.
	// +optional
	// +kubebuilder:validation:Enum=jaeger;w3c
	PropagationFormat string `json:"propagationFormat,omitempty"`

	// SamplingRate of traces.
	// Deprecated: accepted and ignored.
	// +optional
	SamplingRate string `json:"samplingRate,omitempty"`

	// SamplingType of traces.
	// Deprecated: accepted and ignored.
	// +optional
	// +kubebuilder:validation:Enum=remote;const;ratelimiting;probabilistic
	SamplingType string `json:"samplingType,omitempty"`

	// TLS to the collector.
	// Deprecated: accepted and ignored.
	// +optional
	TLS *JaegerTLS `json:"tls,omitempty"`
}

// TracingEnvVar was an environment variable of the Jaeger agent.
// Accepted and ignored.
type TracingEnvVar struct {
	// Name of the variable.
	// Deprecated: accepted and ignored.
	// +required
	Name string `json:"name"`

	// Value of the variable.
	// Deprecated: accepted and ignored.
	// +optional
	Value string `json:"value,omitempty"`

	// ValueFrom was the source of the value, as in a pod.
	// Deprecated: accepted and ignored.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	ValueFrom *runtime.RawExtension `json:"valueFrom,omitempty"`
}

// JaegerTLS was the TLS set-up of the Jaeger agent.
// Accepted and ignored.
type JaegerTLS struct {
	// Disabled switched TLS off.
	// Deprecated: accepted and ignored.
	// +required
	Disabled bool `json:"disabled"`

	// CollectorEndpoint was the identity of the collector.
	// Deprecated: accepted and ignored.
	// +optional
	CollectorEndpoint *JaegerCollectorEndpoint `json:"collectorEndpoint,omitempty"`

	// ReporterClientSecretName named the agent's client certificate.
	// Deprecated: accepted and ignored.
	// +optional
	ReporterClientSecretName string `json:"reporterClientSecretName,omitempty"`

	// SkipHostVerify left the collector's name unchecked.
	// Deprecated: accepted and ignored.
	// +optional
	SkipHostVerify *bool `json:"skipHostVerify,omitempty"`
}

// JaegerCollectorEndpoint was the identity of the Jaeger collector.
// Accepted and ignored.
type JaegerCollectorEndpoint struct {
	// SecretName named the Secret with the collector's CA.
	// Deprecated: accepted and ignored.
	// +required
	SecretName string `json:"secretName"`

	// ServerName was the expected name of the collector.
	// Deprecated: accepted and ignored.
	// +optional
	ServerName string `json:"serverName,omitempty"`
}
