// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ExposedAPI is an API of an ODA Component that is published through the API gateway, or whose metrics are collected.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=exposedapis,singular=exposedapi,scope=Namespaced
// +kubebuilder:metadata:labels={"app.kubernetes.io/managed-by=datapower-operator","app.kubernetes.io/name=exposedapis.oda.tmforum.org"}
// +kubebuilder:printcolumn:name=API_endpoint,type=string,JSONPath=`.status.apiStatus.url`
// +kubebuilder:printcolumn:name=Implementation_ready,type=boolean,JSONPath=`.status.implementation.ready`
// +kubebuilder:printcolumn:name=Routed,type=string,JSONPath=`.status.conditions[?(@.type=="Routed")].reason`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type ExposedAPI struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says what is exposed.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Spec ExposedAPISpec `json:"spec,omitzero"`

	// Status is the observed state.
	// Only operators write it.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Status ExposedAPIStatus `json:"status,omitzero"`
}

// ExposedAPIList is a list of ExposedAPI.
//
// +kubebuilder:object:root=true
type ExposedAPIList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// Items are the APIs.
	Items []ExposedAPI `json:"items"`
}

// ExposedAPISpec says what is exposed.
// Fields that are not declared here are kept.
type ExposedAPISpec struct {
	// Name of the API as the Component gives it.
	// +required
	Name string `json:"name"`

	// APIType is the kind of API.
	// The metrics of prometheus and openmetrics are collected.
	// +required
	// +kubebuilder:validation:Enum=openapi;prometheus;openmetrics;mcp;a2a
	APIType string `json:"apiType"`

	// Specification of the API: an object with url and version.
	// The operator does not read it; the shapes of all versions are accepted.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Specification *runtime.RawExtension `json:"specification,omitempty"`

	// Implementation is the name of the Service, in the same namespace, that serves the API.
	// The text <external> says that the API is not served in this cluster.
	// +required
	Implementation string `json:"implementation"`

	// Path that the API begins with.
	// +required
	Path string `json:"path"`

	// DeveloperUI is the path of a page for developers.
	// +optional
	DeveloperUI string `json:"developerUI,omitempty"`

	// Port of the Service.
	// +required
	Port int32 `json:"port"`

	// Hostname that the API is published under.
	// As in TM Forum's operator it is used in the URL only, unless the operator is told to route by it.
	// +optional
	Hostname string `json:"hostname,omitempty"`

	// BasicAuth names the Secret and keys of the credentials that a metrics API asks for, as prometheus-operator spells them.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	BasicAuth *BasicAuth `json:"basicAuth,omitempty"`

	// APIKeyVerification makes the gateway ask for an API key.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	APIKeyVerification *APIKeyVerification `json:"apiKeyVerification,omitempty"`

	// RateLimit bounds the requests in a short time.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	RateLimit *RateLimit `json:"rateLimit,omitempty"`

	// Quota bounds the requests in a long time.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Quota *Quota `json:"quota,omitempty"`

	// OASValidation compares requests and responses with the specification.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	OASValidation *OASValidation `json:"OASValidation,omitempty"`

	// CORS lets pages of other origins use the API.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	CORS *CORS `json:"CORS,omitempty"`

	// Template is the URL of gateway configuration.
	// Not used by this operator.
	// +optional
	Template string `json:"template,omitempty"`

	// Resources of the API.
	// Not used by this operator.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Resources *runtime.RawExtension `json:"resources,omitempty"`

	// Required says whether the Component must have the API.
	// Not used by this operator.
	// +optional
	Required *bool `json:"required,omitempty"`

	// Segment of the Component that the API belongs to.
	// +optional
	// +kubebuilder:validation:Enum=coreFunction;managementFunction;securityFunction
	Segment string `json:"segment,omitempty"`
}

// BasicAuth names where credentials are.
type BasicAuth struct {
	// Username names a key of a Secret.
	// +optional
	Username *SecretKey `json:"username,omitempty"`

	// Password names a key of a Secret.
	// +optional
	Password *SecretKey `json:"password,omitempty"`
}

// SecretKey names a key of a Secret in the same namespace.
type SecretKey struct {
	// Name of the Secret.
	// +optional
	Name string `json:"name,omitempty"`

	// Key in the Secret.
	// +required
	Key string `json:"key"`

	// Optional says whether the Secret or its key may be missing.
	// +optional
	Optional *bool `json:"optional,omitempty"`
}

// APIKeyVerification makes the gateway ask for an API key.
type APIKeyVerification struct {
	// Enabled turns it on.
	// +optional
	Enabled bool `json:"enabled,omitempty"`

	// Location of the key in a request, for example the name of a header.
	// +optional
	Location string `json:"location,omitempty"`
}

// RateLimit bounds the requests in a short time.
type RateLimit struct {
	// Enabled turns it on.
	// +optional
	Enabled bool `json:"enabled,omitempty"`

	// Identifier tells callers apart, for example IP.
	// +optional
	Identifier string `json:"identifier,omitempty"`

	// Limit is a number of requests.
	// +optional
	Limit string `json:"limit,omitempty"`

	// Interval is ps (a second) or pm (a minute).
	// +optional
	// +kubebuilder:validation:Enum=ps;pm
	Interval string `json:"interval,omitempty"`
}

// Quota bounds the requests in a long time.
type Quota struct {
	// Identifier tells callers apart.
	// +optional
	Identifier string `json:"identifier,omitempty"`

	// Limit is a number of requests.
	// +optional
	Limit string `json:"limit,omitempty"`
}

// OASValidation compares requests and responses with the specification.
type OASValidation struct {
	// RequestEnabled compares requests.
	// +optional
	RequestEnabled bool `json:"requestEnabled,omitempty"`

	// ResponseEnabled compares responses.
	// +optional
	ResponseEnabled bool `json:"responseEnabled,omitempty"`

	// AllowUnspecifiedHeaders lets headers pass that the specification does not name.
	// +optional
	AllowUnspecifiedHeaders bool `json:"allowUnspecifiedHeaders,omitempty"`

	// AllowUnspecifiedQueryParams lets query parameters pass that the specification does not name.
	// +optional
	AllowUnspecifiedQueryParams bool `json:"allowUnspecifiedQueryParams,omitempty"`

	// AllowUnspecifiedCookies lets cookies pass that the specification does not name.
	// +optional
	AllowUnspecifiedCookies bool `json:"allowUnspecifiedCookies,omitempty"`
}

// CORS lets pages of other origins use the API.
type CORS struct {
	// Enabled turns it on.
	// +optional
	Enabled bool `json:"enabled,omitempty"`

	// AllowCredentials lets browsers send credentials.
	// +optional
	AllowCredentials bool `json:"allowCredentials,omitempty"`

	// AllowOrigins are the origins, separated by commas; every one when empty.
	// +optional
	AllowOrigins string `json:"allowOrigins,omitempty"`

	// HandlePreflightRequests answers browsers that ask first.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	HandlePreflightRequests *PreflightRequests `json:"handlePreflightRequests,omitempty"`
}

// PreflightRequests are the answers to browsers that ask first.
type PreflightRequests struct {
	// Enabled turns the answers on; they are unless it is false.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// AllowHeaders are the request headers that may be used, separated by commas.
	// +optional
	AllowHeaders string `json:"allowHeaders,omitempty"`

	// AllowMethods are the methods that may be used, separated by commas.
	// +optional
	AllowMethods string `json:"allowMethods,omitempty"`

	// MaxAge is how long browsers may rely on the answer, in seconds.
	// +optional
	MaxAge *int32 `json:"maxAge,omitempty"`
}

// ExposedAPIStatus is the observed state of an ExposedAPI.
type ExposedAPIStatus struct {
	// APIStatus is what is exposed where.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	APIStatus *APIStatus `json:"apiStatus,omitempty"`

	// Implementation says whether the API's Service can answer.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Implementation *ImplementationStatus `json:"implementation,omitempty"`

	// ObservedGeneration is the generation that the helm-operator last acted on.
	// It is absent where the definition has no status subresource.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Routed, Monitored and Ready, and those of the Helm release: Initialized, Deployed, ReleaseFailed and Irreconcilable.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// DeployedRelease is the Helm release that is in place.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	DeployedRelease *DeployedRelease `json:"deployedRelease,omitempty"`
}

// APIStatus is what is exposed where.
type APIStatus struct {
	// Name of the ExposedAPI.
	// +optional
	Name string `json:"name,omitempty"`

	// UID of the VirtualService.
	// +optional
	UID string `json:"uid,omitempty"`

	// Path as in the spec.
	// +optional
	Path string `json:"path,omitempty"`

	// Port as in the spec.
	// +optional
	Port int32 `json:"port,omitempty"`

	// Implementation as in the spec.
	// +optional
	Implementation string `json:"implementation,omitempty"`

	// URL of the API.
	// +optional
	URL string `json:"url,omitempty"`

	// DeveloperUI is the URL of the page for developers.
	// +optional
	DeveloperUI string `json:"developerUI,omitempty"`

	// IP is the address, or the host name, of the gateway's load balancer.
	// +optional
	IP string `json:"ip,omitempty"`
}

// ImplementationStatus says whether the API's Service can answer.
type ImplementationStatus struct {
	// Ready is true while the Service has a ready endpoint.
	// +optional
	Ready bool `json:"ready"`
}

// DeployedRelease is the Helm release that is in place.
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

	// InventoryDigest stands for the state in which the release's objects were verified.
	// +optional
	InventoryDigest string `json:"inventoryDigest,omitempty"`
}
