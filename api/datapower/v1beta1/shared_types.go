// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
)

// Resources of the DataPower container.
type Resources struct {
	// Limits are the most that the container may use.
	// The CPU limit equals the request.
	// +optional
	Limits *v1beta2.ResourceLimits `json:"limits,omitempty"`

	// Requests are what the container is sure to get.
	// +optional
	Requests *ResourceRequests `json:"requests,omitempty"`
}

// ResourceRequests are what the DataPower container is sure to get.
type ResourceRequests struct {
	// CPU request and limit, in whole cores.
	// +optional
	// +kubebuilder:validation:Minimum=4
	CPU *int64 `json:"cpu,omitempty"`

	// Memory, for example 4Gi.
	// +optional
	Memory string `json:"memory,omitempty"`
}

// DatapowerMonitorSettings are the settings of the monitor Deployment of operator 1.0.
// Those without a counterpart in DataPowerMonitor have no effect.
type DatapowerMonitorSettings struct {
	// Image of the monitor.
	// No effect: the monitor is part of the operator.
	// +optional
	Image string `json:"image,omitempty"`

	// LifecycleDebounceMs is how long the pods must be quiet before work starts, in milliseconds.
	// Default: 10000.
	// +optional
	LifecycleDebounceMs *int32 `json:"lifecycleDebounceMs,omitempty"`

	// PeeringRecoveryCheckIntervalMs is the wait between two looks at a peering that recovers, in milliseconds.
	// Default: 1000.
	// +optional
	PeeringRecoveryCheckIntervalMs *int32 `json:"peeringRecoveryCheckIntervalMs,omitempty"`

	// MonitorGatewayPeering lets the operator reset stale peering.
	// Default: false.
	// +optional
	MonitorGatewayPeering *bool `json:"monitorGatewayPeering,omitempty"`

	// LivenessProbePort of the monitor.
	// No effect: the monitor is part of the operator.
	// +optional
	LivenessProbePort *int32 `json:"livenessProbePort,omitempty"`

	// XMLMgmtPort of the gateways.
	// No effect: the operator uses rest-mgmt.
	// +optional
	XMLMgmtPort *int32 `json:"xmlMgmtPort,omitempty"`

	// Resources of the monitor.
	// No effect: the monitor is part of the operator.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// Env of the monitor.
	// No effect: the monitor is part of the operator.
	// +optional
	// +listType=atomic
	Env []corev1.EnvVar `json:"env,omitempty"`
}

// DataPowerServiceStatus is the observed state of a DataPowerService.
type DataPowerServiceStatus struct {
	// Phase is Pending, Running or Failed.
	// +optional
	Phase datapower.Phase `json:"phase,omitempty"`

	// Conditions are Ready and ReconcileError.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// CustomImages says whether spec.image is set.
	// +optional
	CustomImages *bool `json:"customImages,omitempty"`

	// Nodes are the names of the gateway pods.
	// +optional
	// +listType=atomic
	Nodes []string `json:"nodes,omitempty"`

	// Versions are the DataPower version in use and those that could be.
	// +optional
	Versions *v1beta2.Versions `json:"versions,omitempty"`
}
