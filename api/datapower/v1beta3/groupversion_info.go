// SPDX-License-Identifier: Apache-2.0

// Package v1beta3 is the version of datapower.ibm.com in which a DataPowerService is stored. It holds the Go
// types, from which the schema and its CEL rules are generated, and pure functions of them that several programs
// share.
//
// The older versions use the types of this package wherever the shape of a field has never changed. A field that
// is added here to one of those shared types therefore exists in all versions; a field that must not needs a type
// of its own in the older version first.
//
// +kubebuilder:object:generate=true
// +groupName=datapower.ibm.com
package v1beta3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

var (
	// GroupVersion is the group and version of the types in this package.
	GroupVersion = schema.GroupVersion{Group: datapower.Group, Version: "v1beta3"}

	// SchemeBuilder collects the functions that add this package's types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds this package's types to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &DataPowerService{}, &DataPowerServiceList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
