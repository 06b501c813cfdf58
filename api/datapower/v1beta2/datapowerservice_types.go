// SPDX-License-Identifier: Apache-2.0

package v1beta2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// DataPowerService is a set of IBM DataPower Gateway pods that share one configuration.
//
// +kubebuilder:object:root=true
// +kubebuilder:deprecatedversion:warning="datapower.ibm.com/v1beta2 DataPowerService is deprecated; use datapower.ibm.com/v1beta3 DataPowerService"
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=datapowerservices,singular=datapowerservice,shortName=dp,scope=Namespaced,categories={all,apic,integration,cp4i}
// +kubebuilder:printcolumn:name=Phase,type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Summary,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name=Version,type=string,JSONPath=`.status.versions.reconciled`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:optionalOldSelf=true,fieldPath=".metadata",rule="oldSelf.hasValue() || self.metadata.name.size() <= 52",message="metadata.name must have at most 52 characters, because names of pods and labels are built from it: choose a shorter name"
// +kubebuilder:validation:XValidation:optionalOldSelf=true,fieldPath=".metadata",rule="oldSelf.hasValue() || self.metadata.name.matches('^[a-z][-a-z0-9]*$')",message="metadata.name must start with a letter and contain only lower-case letters, digits and '-', because a Service is named after it: choose another name"
type DataPowerService struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec is the wanted state.
	// +required
	Spec DataPowerServiceSpec `json:"spec"`

	// Status is the observed state.
	// Only the operator writes it.
	// +optional
	Status DataPowerServiceStatus `json:"status,omitzero"`
}

// DataPowerServiceList is a list of DataPowerService.
//
// +kubebuilder:object:root=true
type DataPowerServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// Items are the services.
	Items []DataPowerService `json:"items"`
}

// DataPowerServiceSpec is the wanted state of a DataPowerService.
// Fields mean what they mean in v1beta3.
//
// +kubebuilder:validation:XValidation:rule="!has(self.storage) || self.storage.all(s, s.type != 'persistent' || (has(oldSelf.storage) && oldSelf.storage.exists(o, o.type == 'persistent' && o.path == s.path)))",fieldPath=".storage",message="persistent storage must not be added to an existing service: create a new DataPowerService",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.storage) || oldSelf.storage.all(o, o.type != 'persistent' || (has(self.storage) && self.storage.exists(s, s.type == 'persistent' && s.path == o.path)))",fieldPath=".storage",message="persistent storage must not be removed from an existing service: keep the entry or create a new DataPowerService",reason=FieldValueForbidden
type DataPowerServiceSpec struct {
	// License accepts the licence.
	// +required
	License License `json:"license"`

	// Version of DataPower: an exact version or a channel.
	// +required
	// +kubebuilder:validation:MinLength=1
	Version string `json:"version"`

	// Replicas is the number of gateway pods.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// Image is used in place of the image that version and license.use select.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Image string `json:"image,omitempty"`

	// ImagePullSecrets names Secrets of type kubernetes.io/dockerconfigjson.
	// +optional
	// +listType=atomic
	ImagePullSecrets []string `json:"imagePullSecrets,omitempty"`

	// Users of the gateways.
	// Default: the privileged user admin, whose password is in the Secret admin-credentials.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1000
	Users []v1beta3.User `json:"users,omitempty"`

	// Domains of the gateways and their configuration.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=500
	Domains []Domain `json:"domains,omitempty"`

	// Env adds environment variables to the DataPower container.
	// Of several entries with one name the last one counts.
	// +optional
	// +listType=atomic
	Env []corev1.EnvVar `json:"env,omitempty"`

	// InitCmds are shell commands that run before DataPower starts.
	// +optional
	// +listType=atomic
	InitCmds []string `json:"initCmds,omitempty"`

	// ExtraExe names ConfigMaps whose keys become executable files in /usr/local/extra.
	// +optional
	// +listType=atomic
	ExtraExe []string `json:"extraExe,omitempty"`

	// Debug makes the preparation before DataPower's start print what it does.
	// Default: false.
	// +optional
	Debug *bool `json:"debug,omitempty"`

	// Resources of the DataPower container.
	// +optional
	Resources *Resources `json:"resources,omitempty"`

	// LivenessProbe of the DataPower container.
	// +optional
	LivenessProbe *corev1.Probe `json:"livenessProbe,omitempty"`

	// ReadinessProbe of the DataPower container.
	// +optional
	ReadinessProbe *corev1.Probe `json:"readinessProbe,omitempty"`

	// Affinity of the pods.
	// The schema of this version does not describe its fields, to keep the definition small enough for kubectl apply; those of a pod are meant.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// NodeSelector of the pods.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Tolerations of the pods.
	// +optional
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Storage of the pods.
	// Persistent entries cannot be added, removed or changed later.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=24
	Storage []v1beta3.Storage `json:"storage,omitempty"`

	// PodManagementPolicy of the StatefulSet.
	// Default: Parallel.
	// Cannot be changed later.
	// +optional
	PodManagementPolicy v1beta3.PodManagementPolicy `json:"podManagementPolicy,omitempty"`

	// ServiceAccountName of the pods.
	// Default: a ServiceAccount that the operator makes.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// Annotations of the pods.
	// +optional
	Annotations v1beta3.PodAnnotations `json:"annotations,omitempty"`

	// Labels of the pods.
	// +optional
	Labels v1beta3.PodLabels `json:"labels,omitempty"`

	// Lifecycle hooks of the DataPower container.
	// +optional
	Lifecycle *corev1.Lifecycle `json:"lifecycle,omitempty"`

	// ODTracing set up tracing for Cloud Pak for Integration.
	//
	// Deprecated: accepted and ignored.
	// The feature is gone from DataPower.
	// +optional
	ODTracing *v1beta3.ODTracing `json:"odTracing,omitempty"`
}
