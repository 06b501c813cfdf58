// SPDX-License-Identifier: Apache-2.0

// Package v1beta3 is the version of oda.tmforum.org of early 2024. Its specification was a list of URLs.
//
// +kubebuilder:object:generate=true
// +groupName=oda.tmforum.org
package v1beta3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

var (
	// GroupVersion is the group and version of the types in this package.
	GroupVersion = schema.GroupVersion{Group: oda.Group, Version: "v1beta3"}

	// SchemeBuilder collects the functions that add this package's types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds this package's types to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &ExposedAPI{}, &ExposedAPIList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
