// SPDX-License-Identifier: Apache-2.0

// Package v1beta2 is the version of datapower.ibm.com that operators 1.1 to 1.13 served, and the only version that
// DataPowerMonitor has ever had. Fields whose shape is the same in v1beta3 use the types of that package.
//
// +kubebuilder:object:generate=true
// +groupName=datapower.ibm.com
package v1beta2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

var (
	// GroupVersion is the group and version of the types in this package.
	GroupVersion = schema.GroupVersion{Group: datapower.Group, Version: "v1beta2"}

	// SchemeBuilder collects the functions that add this package's types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds this package's types to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&DataPowerMonitor{}, &DataPowerMonitorList{},
		&DataPowerService{}, &DataPowerServiceList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
