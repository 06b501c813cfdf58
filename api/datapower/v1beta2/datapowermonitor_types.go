// SPDX-License-Identifier: Apache-2.0

package v1beta2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
// +kubebuilder:printcolumn:name="Peering Healthy",type=string,JSONPath=`.status.conditions[?(@.type=="PeeringHealthy")].status`,description="Whether every gateway lists live gateways only",priority=1
// +kubebuilder:printcolumn:name=Reason,type=string,JSONPath=`.status.conditions[?(@.type=="PeeringHealthy")].reason`,description="Why the peerings are healthy or not",priority=1
// +kubebuilder:printcolumn:name="Last Work",type=string,JSONPath=`.status.lastWork.result`,description="How the last work ended",priority=1
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

	// RestManagement says how the operator reaches the REST management interface of the gateways.
	// Used only with monitorGatewayPeering.
	// +optional
	RestManagement *RestManagement `json:"restManagement,omitempty"`
}

// RestManagement says how the REST management interface of every gateway of a service is reached.
type RestManagement struct {
	// Port is where the interface listens in each pod.
	// +optional
	// +kubebuilder:default=5554
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// TLS says which certificates of the gateways are trusted.
	// Without it a certificate must be valid by the authorities of the operator's image, which a gateway's self-signed certificate is not.
	// +optional
	TLS *GatewayTLS `json:"tls,omitempty"`
}

// GatewayTLS says which certificates of the gateways are trusted.
//
// +kubebuilder:validation:XValidation:rule="!has(self.secretName) || !has(self.insecureSkipVerify) || !self.insecureSkipVerify",fieldPath=".insecureSkipVerify",message="secretName and insecureSkipVerify exclude each other: remove insecureSkipVerify to verify the gateways",reason=FieldValueForbidden
type GatewayTLS struct {
	// SecretName is the name of a Secret of the same namespace: its key ca.crt holds the authorities that sign the gateways' certificates,
	// its key tls.crt certificates of gateways that are trusted as they are, self-signed ones too.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// ServerName is the name that a certificate signed by an authority must be valid for, in place of the pod's address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`

	// InsecureSkipVerify trusts every certificate.
	// Whoever can redirect the operator's connections learns the gateways' administrator password.
	// +optional
	InsecureSkipVerify *bool `json:"insecureSkipVerify,omitempty"`
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

	// LastWork tells how the last work ended.
	// +optional
	LastWork *MonitorWork `json:"lastWork,omitempty"`

	// Resets are the resets of peerings that were begun and whose end is not known yet.
	// After a crash they are finished before anything else.
	// +optional
	// +listType=atomic
	Resets []PeeringReset `json:"resets,omitempty"`
}

// MonitorWork tells how a work of a DataPowerMonitor ended.
type MonitorWork struct {
	// Started is when it began.
	// +optional
	Started metav1.Time `json:"started,omitzero"`

	// Completed is when it ended.
	// +optional
	Completed metav1.Time `json:"completed,omitzero"`

	// Result is Clean (no stale peers), Healed (stale peers were found and are gone), Waiting (something is missing that comes by itself),
	// Failed, Interrupted, or NotMonitored (monitorGatewayPeering is off).
	// +optional
	Result string `json:"result,omitempty"`

	// PodsLookedAt is how many pods' peerings were read.
	// +optional
	PodsLookedAt int32 `json:"podsLookedAt"`

	// StalePeersFound counts the stale peers that were found, an address once for each pod and peering that lists it.
	// +optional
	StalePeersFound int32 `json:"stalePeersFound"`

	// ResetsDone counts the resets of peerings.
	// +optional
	ResetsDone int32 `json:"resetsDone"`

	// Message tells more, pod by pod.
	// +optional
	Message string `json:"message,omitempty"`
}

// PeeringReset is a reset of one peering of one gateway.
type PeeringReset struct {
	// Pod is the name of the gateway's pod.
	// +optional
	Pod string `json:"pod,omitempty"`

	// PodUID is the pod's UID: a pod of the same name that comes later is another gateway.
	// +optional
	PodUID types.UID `json:"podUID,omitempty"`

	// Domain is the application domain of the peering.
	// +optional
	Domain string `json:"domain,omitempty"`

	// Peering is the name of the GatewayPeering object.
	// +optional
	Peering string `json:"peering,omitempty"`

	// Strategy is admin-state, or action: and the name of the gateway's action.
	// +optional
	Strategy string `json:"strategy,omitempty"`

	// Began is when the reset was decided.
	// +optional
	Began metav1.Time `json:"began,omitzero"`
}
