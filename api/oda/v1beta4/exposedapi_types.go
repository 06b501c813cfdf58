// SPDX-License-Identifier: Apache-2.0

package v1beta4

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/datapower-operator/datapower-operator/api/oda/v1"
)

// ExposedAPI is an API of an ODA Component that is published through the API gateway, or whose metrics are collected.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=exposedapis,singular=exposedapi,scope=Namespaced
// +kubebuilder:metadata:labels={"app.kubernetes.io/managed-by=datapower-operator","app.kubernetes.io/name=exposedapis.oda.tmforum.org"}
// +kubebuilder:printcolumn:name=API_endpoint,type=string,JSONPath=`.status.apiStatus.url`
// +kubebuilder:printcolumn:name=Implementation_ready,type=boolean,JSONPath=`.status.implementation.ready`
// +kubebuilder:printcolumn:name=Routed,type=string,JSONPath=`.status.conditions[?(@.type=="Routed")].reason`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type ExposedAPI struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says what is exposed.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Spec ExposedAPISpec `json:"spec,omitzero"`

	// Status is the observed state.
	// Only operators write it.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Status v1.ExposedAPIStatus `json:"status,omitzero"`
}

// ExposedAPIList is a list of ExposedAPI.
//
// +kubebuilder:object:root=true
type ExposedAPIList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// Items are the APIs.
	Items []ExposedAPI `json:"items"`
}

// ExposedAPISpec says what is exposed.
// Fields that are not declared here are kept.
type ExposedAPISpec struct {
	// Name of the API as the Component gives it.
	// +required
	Name string `json:"name"`

	// APIType is the kind of API.
	// The metrics of prometheus and openmetrics are collected.
	// +required
	// +kubebuilder:validation:Enum=openapi;prometheus;openmetrics;mcp;a2a
	APIType string `json:"apiType"`

	// Specification of the API: a list of objects with url and version.
	// The operator does not read it; the shapes of all versions are accepted.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Specification *runtime.RawExtension `json:"specification,omitempty"`

	// Implementation is the name of the Service, in the same namespace, that serves the API.
	// The text <external> says that the API is not served in this cluster.
	// +required
	Implementation string `json:"implementation"`

	// Path that the API begins with.
	// +required
	Path string `json:"path"`

	// DeveloperUI is the path of a page for developers.
	// +optional
	DeveloperUI string `json:"developerUI,omitempty"`

	// Port of the Service.
	// +required
	Port int32 `json:"port"`
}
