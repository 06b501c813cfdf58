// SPDX-License-Identifier: Apache-2.0

package v1beta2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// DataPowerMonitor watches the pods of the DataPowerService of the same name and keeps their gateway peering free of peers that are gone.
// The operator makes one with default settings for each DataPowerService that has none.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=datapowermonitors,singular=datapowermonitor,shortName=dpm,scope=Namespaced,categories={all,apic,integration,cp4i}
// +kubebuilder:metadata:labels={"app.kubernetes.io/instance=datapower-operator","app.kubernetes.io/managed-by=datapower-operator","app.kubernetes.io/name=datapowermonitors.datapower.ibm.com"}
// +kubebuilder:metadata:annotations="datapower.ibm.com/operator-version=0.1.0"
// +kubebuilder:printcolumn:name=Phase,type=string,JSONPath=`.status.phase`,description="Pending, Running or Failed"
// +kubebuilder:printcolumn:name="Last Event",type=string,JSONPath=`.status.lastEvent`,description="When the last pod event was seen, blank when there is nothing to do"
// +kubebuilder:printcolumn:name="Work Pending",type=boolean,JSONPath=`.status.workPending`,description="Whether events wait for lifecycleDebounceMs to pass"
// +kubebuilder:printcolumn:name="Work In-Progress",type=boolean,JSONPath=`.status.workInProgress`,description="Whether the gateways are being looked at"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type DataPowerMonitor struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec holds the settings.
	// +optional
	// +kubebuilder:default={}
	Spec DataPowerMonitorSpec `json:"spec,omitzero"`

	// Status is the observed state.
	// Only the operator writes it.
	// +optional
	Status DataPowerMonitorStatus `json:"status,omitzero"`
}

// DataPowerMonitorList is a list of DataPowerMonitor.
//
// +kubebuilder:object:root=true
type DataPowerMonitorList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// Items are the monitors.
	Items []DataPowerMonitor `json:"items"`
}

// DataPowerMonitorSpec holds the settings of a DataPowerMonitor.
type DataPowerMonitorSpec struct {
	// LifecycleDebounceMs is how long the pods must be quiet before work starts, in milliseconds.
	// Every pod event starts the wait anew.
	// +optional
	// +kubebuilder:default=10000
	// +kubebuilder:validation:Minimum=1000
	LifecycleDebounceMs *int32 `json:"lifecycleDebounceMs,omitempty"`

	// MonitorGatewayPeering lets the operator reset the peering of gateways that hold connections to peers that are gone.
	// Otherwise pod events are only logged.
	// +optional
	// +kubebuilder:default=false
	MonitorGatewayPeering *bool `json:"monitorGatewayPeering,omitempty"`

	// PeeringRecoveryCheckIntervalMs is the wait between two looks at a peering that recovers, in milliseconds.
	// Used only with monitorGatewayPeering.
	// +optional
	// +kubebuilder:default=1000
	// +kubebuilder:validation:Minimum=1000
	PeeringRecoveryCheckIntervalMs *int32 `json:"peeringRecoveryCheckIntervalMs,omitempty"`
}

// DataPowerMonitorStatus is the observed state of a DataPowerMonitor.
// No field is required, so that it can be written by server-side apply in parts.
type DataPowerMonitorStatus struct {
	// ObservedGeneration is the generation of the spec that the status belongs to.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Phase is Pending (not initialised), Running or Failed.
	// +optional
	Phase datapower.Phase `json:"phase,omitempty"`

	// Conditions say what kubectl wait can wait for.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// LastEvent is when the last pod event was seen (RFC 3339), empty when there is nothing to do.
	// +optional
	LastEvent string `json:"lastEvent"`

	// WorkPending says whether events wait for lifecycleDebounceMs to pass.
	// +optional
	WorkPending bool `json:"workPending"`

	// WorkInProgress says whether the gateways are being looked at.
	// +optional
	WorkInProgress bool `json:"workInProgress"`
}
