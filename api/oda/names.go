// SPDX-License-Identifier: Apache-2.0

package oda

// Group is the API group of every kind in this folder.
const Group = "oda.tmforum.org"

// Kinds of the same thing. An API is what ExposedAPI was called until November 2024; its kind was written in lower case
// until 2024.
const (
	KindExposedAPI      = "ExposedAPI"
	KindLegacyAPI       = "API"
	KindLegacyLowercase = "api"
)

// ComponentLabel holds the name of the Component that an API is part of. It is not required.
const ComponentLabel = "oda.tmforum.org/componentName"

// ImplementationExternal as spec.implementation says that the API is not served by a Service of this cluster.
const ImplementationExternal = "<external>"

// Condition types of an ExposedAPI that the sidecar writes. Those of the helm-operator are Initialized, Deployed,
// ReleaseFailed and Irreconcilable.
const (
	// ConditionRouted is True while the gateway sends the API's requests to its implementation.
	ConditionRouted = "Routed"
	// ConditionMonitored is True while the metrics of a metrics API are collected.
	ConditionMonitored = "Monitored"
	// ConditionReady is True while the implementation has a ready endpoint.
	ConditionReady = "Ready"
)

// FieldManagerStatus owns the sidecar's part of the status of an ExposedAPI, FieldManagerPods the annotations that it
// puts on pods.
const (
	FieldManagerStatus = "datapower-sidecar-exposure"
	FieldManagerPods   = "datapower-sidecar-exposure-pods"
)
