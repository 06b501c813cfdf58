// SPDX-License-Identifier: Apache-2.0

package v1beta3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// DataPowerServiceStatus is the observed state of a DataPowerService.
// Two programs write it by server-side apply, each its own part, so no field is required.
type DataPowerServiceStatus struct {
	// ObservedGeneration is the generation of the spec that the status belongs to.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Phase is Pending (no error, not ready yet), Running (ready) or Failed (the last reconcile failed).
	// +optional
	Phase datapower.Phase `json:"phase,omitempty"`

	// Conditions are Ready, Pending, Error and Warning, and those of the Helm release: Initialized, Deployed, ReleaseFailed and Irreconcilable.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Replicas is the number of pods.
	// The scale subresource shows it.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// LabelSelector selects the pods, in text form.
	// Autoscalers find the pods by it.
	// +optional
	LabelSelector string `json:"labelSelector,omitempty"`

	// CustomImages says whether spec.image replaces the image of the catalogue.
	// +optional
	CustomImages *bool `json:"customImages,omitempty"`

	// Versions are the DataPower version in use and those that could be.
	// +optional
	Versions *Versions `json:"versions,omitempty"`

	// Pods are the names of the gateway pods.
	// Up to operator 1.15 the field was called nodes.
	// +optional
	// +listType=atomic
	Pods []string `json:"pods,omitempty"`

	// MgmtPorts are the management ports that the gateways serve.
	// +optional
	// +listType=map
	// +listMapKey=name
	MgmtPorts []MgmtPort `json:"mgmtPorts,omitempty"`

	// Firmware is what the gateways say about their firmware.
	// Since 1.8.
	// +optional
	// +listType=atomic
	Firmware []Firmware `json:"firmware,omitempty"`

	// Generated are the objects that the operator generated because the spec says "generate: true".
	// Since 1.6.7.
	// +optional
	// +listType=atomic
	Generated []Generated `json:"generated,omitempty"`

	// RolloutHistory names the rollouts of updateStrategy.mode automatic.
	// Since 1.6.
	// +optional
	RolloutHistory *RolloutHistory `json:"rolloutHistory,omitempty"`

	// DeployedRelease is the Helm release that is in place.
	// +optional
	DeployedRelease *DeployedRelease `json:"deployedRelease,omitempty"`
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

// AvailableVersion is a version or a channel and the licences that allow its use.
type AvailableVersion struct {
	// Name of the version or channel.
	// +required
	Name string `json:"name"`

	// Licenses of the version or channel.
	// +optional
	// +listType=atomic
	Licenses []AvailableLicense `json:"licenses,omitempty"`
}

// AvailableLicense is a licence that allows the use of a version.
type AvailableLicense struct {
	// Name is the licence's identifier.
	// +required
	Name string `json:"name"`

	// DisplayName is the licence's name for people.
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// Link to the licence's text.
	// +optional
	Link string `json:"link,omitempty"`

	// MatchesCurrentType says whether the licence fits spec.license.use.
	// +required
	MatchesCurrentType bool `json:"matchesCurrentType"`
}

// MgmtPort is a management port that the gateways serve.
type MgmtPort struct {
	// Name of the port, for example rest-mgmt.
	// +required
	Name string `json:"name"`

	// Port number.
	// +required
	Port int32 `json:"port"`
}

// Firmware is the firmware that some of the pods run.
type Firmware struct {
	// Info is what the gateways say.
	// +required
	Info FirmwareInfo `json:"info"`

	// Pods that run it, by name.
	// +required
	// +listType=atomic
	Pods []string `json:"pods"`
}

// FirmwareInfo is what a gateway says about its firmware.
type FirmwareInfo struct {
	// Version of the firmware.
	// +required
	Version string `json:"version"`

	// Build of the firmware.
	// +required
	Build string `json:"build"`

	// BuildDate of the firmware, as the gateway writes it.
	// +required
	BuildDate string `json:"buildDate"`
}

// Generated is an object that the operator generated.
type Generated struct {
	// Kind of the object.
	// +required
	Kind string `json:"kind"`

	// Name of the object.
	// +required
	Name string `json:"name"`

	// Context says why it exists.
	// +required
	Context GeneratedContext `json:"context"`
}

// GeneratedContext says why a generated object exists.
type GeneratedContext struct {
	// Path of the field that asks for the object, for example spec.domains[0].settings.passphrase.
	// +required
	Path string `json:"path"`

	// Domain that uses the object.
	// +optional
	Domain string `json:"domain,omitempty"`

	// Alias is the password alias that uses the object.
	// +optional
	Alias string `json:"alias,omitempty"`
}

// RolloutHistory names the rollouts of a service.
type RolloutHistory struct {
	// Current rollout.
	// +optional
	Current string `json:"current,omitempty"`

	// Previous rollouts, newest first.
	// +optional
	// +listType=atomic
	Previous []string `json:"previous,omitempty"`
}

// DeployedRelease is a Helm release.
type DeployedRelease struct {
	// Name of the release.
	// +optional
	Name string `json:"name,omitempty"`

	// Revision of the release.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// Chart that was released: <name>-<version>.
	// +optional
	Chart string `json:"chart,omitempty"`

	// InventoryDigest stands for the state in which the release's objects were last seen to be what the chart says.
	// +optional
	InventoryDigest string `json:"inventoryDigest,omitempty"`

	// Manifest of the release.
	// This operator leaves it empty, the stock helm-operators fill it.
	// +optional
	Manifest string `json:"manifest,omitempty"`
}
