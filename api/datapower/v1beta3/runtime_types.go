// SPDX-License-Identifier: Apache-2.0

package v1beta3

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodLabels are labels for the gateway pods.
// +kubebuilder:validation:XValidation:rule="!('datapower.ibm.com/service' in self)",message="labels must not set datapower.ibm.com/service: the StatefulSet selects its pods by it; use another key",reason=FieldValueForbidden
type PodLabels map[string]string

// PodAnnotations are annotations for the gateway pods.
// +kubebuilder:validation:MaxProperties=1000
// +kubebuilder:validation:XValidation:rule="self.all(key, !(key.startsWith('datapower.ibm.com/') && key.endsWith('.reconciled')))",message="annotations must not set keys of the form datapower.ibm.com/*.reconciled: the operator keeps content hashes there; use a key of your own to roll the pods",reason=FieldValueForbidden
type PodAnnotations map[string]string

// PodManagementPolicy is the order in which the StatefulSet starts and stops pods.
// +kubebuilder:validation:Enum=Parallel;OrderedReady
type PodManagementPolicy string

// The orders in which pods are started and stopped.
const (
	PodManagementPolicyParallel     PodManagementPolicy = "Parallel"
	PodManagementPolicyOrderedReady PodManagementPolicy = "OrderedReady"
)

// Resources of the DataPower container.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.requests.cpu) || !has(self.limits) || !has(self.limits.cpu) || !isQuantity(string(self.requests.cpu)) || !isQuantity(string(self.limits.cpu)) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0",fieldPath=".requests.cpu",message="requests.cpu must not exceed limits.cpu: lower the request or raise the limit"
// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.requests.memory) || !has(self.limits) || !has(self.limits.memory) || !isQuantity(string(self.requests.memory)) || !isQuantity(string(self.limits.memory)) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0",fieldPath=".requests.memory",message="requests.memory must not exceed limits.memory: lower the request or raise the limit"
type Resources struct {
	// Limits are the most that the container may use.
	// +optional
	Limits *ResourceLimits `json:"limits,omitempty"`

	// Requests are what the container is sure to get.
	// +optional
	Requests *ResourceRequests `json:"requests,omitempty"`
}

// ResourceLimits are the most that the DataPower container may use.
type ResourceLimits struct {
	// CPU, at least 500m.
	// Default: the CPU request.
	// Since 1.10.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('500m')) >= 0",message="limits.cpu must be at least 500m: raise it"
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// Memory, at least 2Gi.
	// Default: 8Gi, or the memory request when that is more.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('2Gi')) >= 0",message="limits.memory must be at least 2Gi: raise it (a G is less than a Gi)"
	Memory *resource.Quantity `json:"memory,omitempty"`
}

// ResourceRequests are what the DataPower container is sure to get.
type ResourceRequests struct {
	// CPU, at least 100m.
	// Default: 4 with license.use production, else 1, or the CPU limit when that is less.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('100m')) >= 0",message="requests.cpu must be at least 100m: raise it"
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// Memory, at least 2Gi.
	// Default: 4Gi, or the memory limit when that is less.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('2Gi')) >= 0",message="requests.memory must be at least 2Gi: raise it (a G is less than a Gi)"
	Memory *resource.Quantity `json:"memory,omitempty"`
}

// HealthCheck sets up the health check inside the DataPower container.
type HealthCheck struct {
	// LogLevel of the health check.
	// Default: info.
	// +optional
	// +kubebuilder:validation:Enum=debug;info;warn;error;dpanic;panic;fatal
	LogLevel string `json:"logLevel,omitempty"`

	// Probe is the listener that answers probes.
	// +optional
	Probe *HealthCheckProbe `json:"probe,omitempty"`

	// Watchdog restarts a container that does not answer its own health check.
	// +optional
	Watchdog *Watchdog `json:"watchdog,omitempty"`
}

// HealthCheckProbe is the listener that answers probes.
type HealthCheckProbe struct {
	// Port on which the health check listens.
	// Default: 7879.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// Watchdog restarts a container that does not answer its own health check.
//
// +kubebuilder:validation:XValidation:rule="!has(self.softTimeoutSeconds) || !has(self.hardTimeoutSeconds) || self.softTimeoutSeconds < self.hardTimeoutSeconds",fieldPath=".softTimeoutSeconds",message="softTimeoutSeconds must be less than hardTimeoutSeconds: warnings come before the restart"
type Watchdog struct {
	// Enabled switches the watchdog on.
	// +required
	Enabled bool `json:"enabled"`

	// HardTimeoutSeconds restarts the container after so many seconds without an answer.
	// Default: 80.
	// +optional
	// +kubebuilder:validation:Minimum=20
	HardTimeoutSeconds *int64 `json:"hardTimeoutSeconds,omitempty"`

	// SoftTimeoutSeconds logs warnings after so many seconds without an answer.
	// Default: 60.
	// +optional
	// +kubebuilder:validation:Minimum=20
	SoftTimeoutSeconds *int64 `json:"softTimeoutSeconds,omitempty"`
}

// Storage is a volume of every pod.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'persistent' || has(self.size)",fieldPath=".size",message="size is required when type is persistent: say how much storage to claim, for example 5Gi",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.type != 'persistent' || oldSelf.type != 'persistent' || (has(self.size) == has(oldSelf.size) && (!has(self.size) || self.size == oldSelf.size))",fieldPath=".size",message="size of persistent storage must not change: create a new DataPowerService",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type != 'persistent' || oldSelf.type != 'persistent' || (has(self.class) == has(oldSelf.class) && (!has(self.class) || self.class == oldSelf.class))",fieldPath=".class",message="class of persistent storage must not change: create a new DataPowerService",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type != 'persistent' || oldSelf.type != 'persistent' || (has(self.selector) == has(oldSelf.selector) && (!has(self.selector) || self.selector == oldSelf.selector))",fieldPath=".selector",message="selector of persistent storage must not change: create a new DataPowerService",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type != 'persistent' || oldSelf.type != 'persistent' || (has(self.deleteClaim) && self.deleteClaim) == (has(oldSelf.deleteClaim) && oldSelf.deleteClaim)",fieldPath=".deleteClaim",message="deleteClaim of persistent storage must not change: create a new DataPowerService",reason=FieldValueForbidden
type Storage struct {
	// Type is ephemeral for a directory that lives as long as its pod, or persistent for a claim per pod.
	// +required
	Type StorageType `json:"type"`

	// Path in the container, for example /opt/ibm/datapower/drouter/config.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self == '' || self.startsWith('/')",message="path must be absolute: begin it with /"
	// +kubebuilder:validation:XValidation:rule="!self.contains(':')",message="path must not contain ':', Kubernetes refuses such a mount: choose another directory"
	Path string `json:"path"`

	// Size of the volume.
	// Required for persistent storage; a limit for ephemeral storage.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`

	// Class of persistent storage: the name of a StorageClass.
	// Default: that of the cluster.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Class string `json:"class,omitempty"`

	// Selector restricts persistent storage to volumes with these labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// DeleteClaim deletes the claims of persistent storage with the service, provided that every persistent entry says so: a StatefulSet has one switch for all.
	// Default: false.
	// +optional
	DeleteClaim *bool `json:"deleteClaim,omitempty"`

	// VolumeMode was the mode of the volume.
	//
	// Deprecated: accepted and ignored.
	// The mode is always Filesystem.
	// Since 1.2.
	// +optional
	VolumeMode string `json:"volumeMode,omitempty"`
}

// StorageType is the lifetime of a volume.
// +kubebuilder:validation:Enum=ephemeral;persistent
type StorageType string

// The types of storage.
const (
	StorageTypeEphemeral  StorageType = "ephemeral"
	StorageTypePersistent StorageType = "persistent"
)

// PodAutoScaling changes the number or the size of the pods with their load.
//
// +kubebuilder:validation:XValidation:rule="!has(self.method) || self.method != 'HPA' || has(self.hpa)",fieldPath=".hpa",message="hpa is required when method is HPA: give at least hpa.maxReplicas",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="!has(self.method) || self.method != 'VPA' || has(self.vpa)",fieldPath=".vpa",message="vpa is required when method is VPA: give upper bounds, or 'vpa: {}' for none",reason=FieldValueRequired
type PodAutoScaling struct {
	// Method is HPA to change the number of pods, VPA to change their size, or None.
	// Default: None.
	// +optional
	// +kubebuilder:validation:Enum=None;HPA;VPA
	Method string `json:"method,omitempty"`

	// HPA holds the settings of method HPA.
	// +optional
	HPA *HPA `json:"hpa,omitempty"`

	// VPA holds the settings of method VPA.
	// +optional
	VPA *VPA `json:"vpa,omitempty"`
}

// HPA holds the settings of horizontal autoscaling.
//
// +kubebuilder:validation:XValidation:rule="self.maxReplicas > self.minReplicas",fieldPath=".maxReplicas",message="maxReplicas must be greater than minReplicas: raise maxReplicas or lower minReplicas"
type HPA struct {
	// MaxReplicas is the largest number of pods.
	// It must be greater than minReplicas.
	// +required
	MaxReplicas int32 `json:"maxReplicas"`

	// MinReplicas is the smallest number of pods.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// TargetCPUUtilizationPercentage is the CPU use to aim for, in percent of the request.
	// 0 leaves CPU out of account.
	// Default: 80 when neither target is given, else 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TargetCPUUtilizationPercentage *int32 `json:"targetCPUUtilizationPercentage,omitempty"`

	// TargetMemoryUtilizationPercentage is the memory use to aim for, in percent of the request.
	// 0 leaves memory out of account.
	// Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TargetMemoryUtilizationPercentage *int32 `json:"targetMemoryUtilizationPercentage,omitempty"`
}

// VPA holds the settings of vertical autoscaling.
// Its lower bounds are resources.requests.
type VPA struct {
	// MaxAllowedCPU is the largest CPU request.
	// Default: no bound.
	// +optional
	MaxAllowedCPU *resource.Quantity `json:"maxAllowedCPU,omitempty"`

	// MaxAllowedMemory is the largest memory request.
	// Default: no bound.
	// +optional
	MaxAllowedMemory *resource.Quantity `json:"maxAllowedMemory,omitempty"`
}

// UpdateStrategy says how a change reaches the pods.
//
// +kubebuilder:validation:XValidation:rule="self.mode != 'manual' || has(self.partition)",fieldPath=".partition",message="partition is required when mode is manual: pods with a smaller ordinal keep the old revision",reason=FieldValueRequired
type UpdateStrategy struct {
	// Mode is manual to hold back pods by partition, or automatic for a rolling update of all pods.
	// +required
	// +kubebuilder:validation:Enum=manual;automatic
	Mode string `json:"mode"`

	// Partition is the ordinal from which on pods are updated.
	// Required when mode is manual.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Partition *int32 `json:"partition,omitempty"`

	// RolloutHistoryLimit is the number of old revisions to keep when mode is automatic; 0 keeps all.
	// Default: 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RolloutHistoryLimit *int32 `json:"rolloutHistoryLimit,omitempty"`
}

// RBM sets up role-based management.
type RBM struct {
	// PasswordHashAlgorithm hashes the passwords of users.
	// The method that a user's Secret names goes before.
	// Default: md5, or sha256 with cryptoMode fips-140-3-l1.
	// +optional
	// +kubebuilder:validation:Enum=md5;sha256
	PasswordHashAlgorithm string `json:"passwordHashAlgorithm,omitempty"`
}

// SNMP sets up DataPower's SNMP agent and a Prometheus exporter for it.
type SNMP struct {
	// Config of the agent.
	// +optional
	Config *SNMPConfig `json:"config,omitempty"`

	// Exporter is a container in each pod that serves the agent's data to Prometheus.
	// +optional
	Exporter *SNMPExporter `json:"exporter,omitempty"`

	// Generator of the exporter's configuration.
	// +optional
	Generator *SNMPGenerator `json:"generator,omitempty"`
}

// SNMPConfig is the configuration of DataPower's SNMP agent.
type SNMPConfig struct {
	// Port of the agent.
	// Default: 1161.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// SNMPExporter is the container that serves the agent's data to Prometheus.
type SNMPExporter struct {
	// Enabled adds the exporter to each pod.
	// +required
	Enabled bool `json:"enabled"`

	// Port of the exporter.
	// Default: 63512.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// SNMPGenerator is the source of the exporter's configuration.
type SNMPGenerator struct {
	// Config names a ConfigMap with the key generator.yaml.
	// +required
	// +kubebuilder:validation:MinLength=1
	Config string `json:"config"`
}
