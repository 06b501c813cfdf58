// SPDX-License-Identifier: Apache-2.0

// Package v1beta1 is the first version of datapower.ibm.com. Fields whose shape is the same in a later version use the
// types of that version.
//
// +kubebuilder:object:generate=true
// +groupName=datapower.ibm.com
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

var (
	// GroupVersion is the group and version of the types in this package.
	GroupVersion = schema.GroupVersion{Group: datapower.Group, Version: "v1beta1"}

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
