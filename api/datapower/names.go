// SPDX-License-Identifier: Apache-2.0

package datapower

import (
	"crypto/sha256"
	"encoding/hex"
)

// Group is the API group of every kind in this folder.
const Group = "datapower.ibm.com"

// ContainerName is the name of the DataPower container in every gateway pod.
const ContainerName = "datapower"

// MaxServiceNameLength is the longest allowed name of a DataPowerService, in characters. The StatefulSet
// controller puts the name, a dash and a hash of up to ten characters into a pod label, and a label value
// holds 63 characters.
const MaxServiceNameLength = 52

// maxLabelValueLength is the longest label value that Kubernetes accepts, in bytes.
const maxLabelValueLength = 63

// Labels that every rendered object and every gateway pod carries.
const (
	// ServiceLabel holds the name of the DataPowerService. The selectors of the StatefulSet and of the Services
	// use this label and no other, and spec.labels must not set it, so no user label can break a selector.
	ServiceLabel = "datapower.ibm.com/service"
	// NameLabel holds AppName.
	NameLabel = "app.kubernetes.io/name"
	// ComponentLabel holds AppName.
	ComponentLabel = "app.kubernetes.io/component"
	// InstanceLabel holds the result of InstanceLabelValue.
	InstanceLabel = "app.kubernetes.io/instance"
	// ManagedByLabel holds OperatorName.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// VersionLabel holds the exact DataPower version that spec.version resolved to.
	VersionLabel = "app.kubernetes.io/version"
)

// Values of the labels above.
const (
	// AppName is the value of NameLabel and ComponentLabel.
	AppName = "datapower"
	// OperatorName is the value of ManagedByLabel.
	OperatorName = "datapower-operator"
)

// Annotations on a DataPowerService that steer the operator. Users of the IBM operator know the first four.
const (
	// PauseAnnotation suspends reconciling: a duration of at least one minute, or "true" for no end.
	PauseAnnotation = "datapower.ibm.com/pause"
	// PauseExpirationAnnotation is written by the operator: when a pause ends, RFC 3339.
	PauseExpirationAnnotation = "datapower.ibm.com/pause-expiration"
	// StopAnnotation, when "true", scales the StatefulSet to zero and leaves spec.replicas alone.
	StopAnnotation = "datapower.ibm.com/stop"
	// HibernateAnnotation, when "true", removes the rendered objects and keeps the DataPowerService.
	HibernateAnnotation = "datapower.ibm.com/hibernate"
	// MonitorSettingsAnnotation parks the datapowerMonitor settings of a v1beta1 object, as JSON, while the object
	// is stored in a version that has no such field.
	MonitorSettingsAnnotation = "datapower.ibm.com/v1beta1-datapower-monitor"
)

// Annotations on rendered objects.
const (
	// CustomImageAnnotation is "true" on the StatefulSet when spec.image replaces the image of the catalogue.
	CustomImageAnnotation = "datapower.ibm.com/custom-image"
	// ReconciledAnnotationSuffix ends the keys of the pod-template annotations that carry content hashes. A changed
	// hash rolls the pods, so spec.annotations must not set keys of Group with this suffix.
	ReconciledAnnotationSuffix = ".reconciled"
)

// Finalizers on custom resources.
const (
	// UninstallFinalizer holds a custom resource until its Helm release is uninstalled. The stock helm-operators
	// use the same name, so a change of operator strands nothing.
	UninstallFinalizer = "helm.sdk.operatorframework.io/uninstall-release"
	// LegacyUninstallFinalizer is the name that older helm-operators used. It is honoured, never added.
	LegacyUninstallFinalizer = "uninstall-helm-release"
)

// Field managers of server-side apply. One writer per object or status part owns each.
const (
	// HelmFieldManager owns the rendered objects.
	HelmFieldManager = "datapower-helm-operator"
	// HelmStatusFieldManager owns the conditions and status fields that the helm-operator writes.
	HelmStatusFieldManager = "datapower-helm-operator-status"
	// SidecarStatusFieldManager owns the conditions and status fields that the sidecar writes.
	SidecarStatusFieldManager = "datapower-sidecar-status"
)

// HeadlessServiceName is the name of the Service that gives the pods of the named DataPowerService their DNS names.
func HeadlessServiceName(service string) string { return service + "-headless" }

// InitConfigMapName is the name of the ConfigMap with the init script and its plan.
func InitConfigMapName(service string) string { return service + "-init" }

// UserCommandsConfigMapName is the name of the ConfigMap with access level and group of each user.
func UserCommandsConfigMapName(service string) string { return service + "-user-commands" }

// ServiceAccountName is the name of the ServiceAccount that is made when spec.serviceAccountName is empty.
func ServiceAccountName(service string) string { return service + "-datapower" }

// InstanceLabelValue is the value of InstanceLabel for a DataPowerService: <namespace>-<name>. A value that does
// not fit into a label keeps its first 54 bytes and gets a dash and the first eight hexadecimal digits of the
// SHA-256 of the whole, 63 bytes together.
func InstanceLabelValue(namespace, name string) string {
	whole := namespace + "-" + name
	if len(whole) <= maxLabelValueLength {
		return whole
	}
	digest := ShortHash(whole)
	return whole[:maxLabelValueLength-1-len(digest)] + "-" + digest
}

// ShortHash is the first eight hexadecimal digits of the SHA-256 of text: the form in which derived names carry
// what they had to drop.
func ShortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}
