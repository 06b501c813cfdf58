// SPDX-License-Identifier: Apache-2.0

// Package legacy holds the kind API, as ExposedAPI was called until November 2024. All its versions have one shape, in
// which apiType is spelled apitype and no schema checks the spec. Until 2024 the kind was written in lower case.
//
// +kubebuilder:object:generate=true
package legacy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/api/oda/v1"
)

// Versions in which the kind was served, newest first.
var Versions = []string{"v1beta4", "v1beta3", "v1beta2", "v1beta1", "v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"}

// LowercaseVersions are those of the kind in lower case.
var LowercaseVersions = Versions[2:]

// Kind returns the group, version and kind of API, or of api, in a version.
func Kind(kind, version string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: oda.Group, Version: version, Kind: kind}
}

// API is an API of an ODA Component, as resources of before November 2024 spell it.
//
// +kubebuilder:object:root=true
type API struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   APISpec             `json:"spec,omitzero"`
	Status v1.ExposedAPIStatus `json:"status,omitzero"`
}

// APISpec is what was in use.
type APISpec struct {
	// Name of the API as the Component gives it.
	Name string `json:"name,omitempty"`
	// APIType is the kind of API.
	APIType string `json:"apitype,omitempty"`
	// Specification is a URL, or a list of them.
	Specification *runtime.RawExtension `json:"specification,omitempty"`
	// Implementation is the name of the Service that serves the API.
	Implementation string `json:"implementation,omitempty"`
	// Path that the API begins with.
	Path string `json:"path,omitempty"`
	// DeveloperUI is the path of a page for developers.
	DeveloperUI string `json:"developerUI,omitempty"`
	// Port of the Service.
	Port int32 `json:"port,omitempty"`
}
