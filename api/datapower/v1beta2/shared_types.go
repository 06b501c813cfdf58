// SPDX-License-Identifier: Apache-2.0

package v1beta2

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// License accepts a licence.
// Which one follows from version and use: the identifier came with v1beta3.
type License struct {
	// Accept must be true.
	// +required
	// +kubebuilder:validation:XValidation:rule="self",message="license.accept must be true: accept the licence of the chosen version and use to run DataPower"
	Accept bool `json:"accept"`

	// Use selects the edition of DataPower.
	// +required
	Use v1beta3.LicenseUse `json:"use"`
}

// Domain is a DataPower domain and its configuration.
type Domain struct {
	// Name of the domain: letters, digits, '_', '-' and '.'.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9_.-]+$`
	// +kubebuilder:validation:XValidation:rule="self != '.' && self != '..'",message="name must not be '.' or '..', because a directory is named after the domain: choose another name"
	Name string `json:"name"`

	// Certs are certificates and keys for the domain.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Certs []v1beta3.Cert `json:"certs,omitempty"`

	// DPApp is the configuration and the files of the domain.
	// +optional
	DPApp *DPApp `json:"dpApp,omitempty"`
}

// DPApp is the configuration and the files of a domain.
type DPApp struct {
	// Config names ConfigMaps with .cfg files, which are read in this order.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:items:MinLength=1
	Config []string `json:"config"`

	// Local names ConfigMaps that hold a .tar.gz file each, which is unpacked into local:///.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	Local []string `json:"local,omitempty"`
}

// Resources of the DataPower container.
type Resources struct {
	// Limits are the most that the container may use.
	// The CPU limit equals the request.
	// +optional
	Limits *ResourceLimits `json:"limits,omitempty"`

	// Requests are what the container is sure to get.
	// +optional
	Requests *ResourceRequests `json:"requests,omitempty"`
}

// ResourceLimits are the most that the DataPower container may use.
type ResourceLimits struct {
	// Memory, for example 8Gi.
	// +optional
	Memory string `json:"memory,omitempty"`
}

// ResourceRequests are what the DataPower container is sure to get.
type ResourceRequests struct {
	// CPU request and limit.
	// +optional
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// Memory, for example 4Gi.
	// +optional
	Memory string `json:"memory,omitempty"`
}

// DataPowerServiceStatus is the observed state of a DataPowerService.
type DataPowerServiceStatus struct {
	// Phase is Pending, Running or Failed.
	// +optional
	Phase datapower.Phase `json:"phase,omitempty"`

	// Conditions as in v1beta3.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// CustomImages says whether spec.image is set.
	// +optional
	CustomImages *bool `json:"customImages,omitempty"`

	// MgmtPorts are the management ports that the gateways serve.
	// +optional
	// +listType=map
	// +listMapKey=name
	MgmtPorts []v1beta3.MgmtPort `json:"mgmtPorts,omitempty"`

	// Nodes are the names of the gateway pods.
	// +optional
	// +listType=atomic
	Nodes []string `json:"nodes,omitempty"`

	// Versions are the DataPower version in use and those that could be.
	// +optional
	Versions *Versions `json:"versions,omitempty"`
}

// Versions are the DataPower version in use and those that could be.
type Versions struct {
	// Reconciled is the exact version in use.
	// +optional
	Reconciled string `json:"reconciled,omitempty"`

	// Available are the versions and channels that spec.version can name.
	// +optional
	Available *AvailableVersions `json:"available,omitempty"`
}

// AvailableVersions are the versions and channels that spec.version can name.
type AvailableVersions struct {
	// Channels that the operator knows.
	// +optional
	// +listType=atomic
	Channels []AvailableVersion `json:"channels,omitempty"`

	// Versions that the operator knows.
	// +optional
	// +listType=atomic
	Versions []AvailableVersion `json:"versions,omitempty"`
}

// AvailableVersion is a version or a channel.
type AvailableVersion struct {
	// Name of the version or channel.
	// +required
	Name string `json:"name"`
}
