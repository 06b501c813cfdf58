// SPDX-License-Identifier: Apache-2.0

package datapower

// Condition types of a DataPowerService that the helm-operator writes. They are those of the stock helm-operators.
const (
	// ConditionInitialized is True once the custom resource was accepted for reconciling.
	ConditionInitialized = "Initialized"
	// ConditionDeployed is True while a Helm release is in place, False after it was uninstalled.
	ConditionDeployed = "Deployed"
	// ConditionReleaseFailed is True while the last install, upgrade or uninstall failed.
	ConditionReleaseFailed = "ReleaseFailed"
	// ConditionIrreconcilable is True while the operator cannot even decide what to do.
	ConditionIrreconcilable = "Irreconcilable"
)

// Condition types of a DataPowerService that the sidecar writes. They are those of the IBM operator.
const (
	// ConditionReady is True while all wanted pods are ready. Its message reads "StatefulSet replicas ready: 3/3".
	ConditionReady = "Ready"
	// ConditionPending is True until the StatefulSet is ready for the first time, and absent afterwards.
	ConditionPending = "Pending"
	// ConditionError is True while something keeps the service from working, for example a missing Secret.
	ConditionError = "Error"
	// ConditionWarning is True while something needs the user's attention but the service works.
	ConditionWarning = "Warning"
)

// ConditionReconcileError is the condition that v1beta1 showed in its Error column. Only conversion to v1beta1
// makes it.
const ConditionReconcileError = "ReconcileError"

// Reasons of the conditions that the helm-operator writes.
const (
	// ReasonInstallSuccessful says that the release was installed.
	ReasonInstallSuccessful = "InstallSuccessful"
	// ReasonUpgradeSuccessful says that the release was upgraded.
	ReasonUpgradeSuccessful = "UpgradeSuccessful"
	// ReasonUninstallSuccessful says that the release was uninstalled.
	ReasonUninstallSuccessful = "UninstallSuccessful"
	// ReasonInstallError says that the install failed.
	ReasonInstallError = "InstallError"
	// ReasonUpgradeError says that the upgrade failed.
	ReasonUpgradeError = "UpgradeError"
	// ReasonUninstallError says that the uninstall failed.
	ReasonUninstallError = "UninstallError"
	// ReasonReconcileError says that a step between two releases failed.
	ReasonReconcileError = "ReconcileError"
)

// Reasons of the conditions that the sidecar writes.
const (
	// ReasonStatefulSetReady says that all wanted pods are ready.
	ReasonStatefulSetReady = "StatefulSetReady"
	// ReasonReconcileWarning accompanies ConditionWarning.
	ReasonReconcileWarning = "ReconcileWarning"
	// ReasonNoError accompanies ConditionReconcileError when it is False.
	ReasonNoError = "NoError"
)

// Phase sums up a custom resource in one word.
// +kubebuilder:validation:Enum=Pending;Running;Failed
type Phase string

const (
	// PhasePending means: no error, not ready yet.
	PhasePending Phase = "Pending"
	// PhaseRunning means: ready, no error.
	PhaseRunning Phase = "Running"
	// PhaseFailed means: the last reconcile failed.
	PhaseFailed Phase = "Failed"
)
