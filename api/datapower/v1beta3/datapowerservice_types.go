// SPDX-License-Identifier: Apache-2.0

package v1beta3

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DataPowerService is a set of IBM DataPower Gateway pods that share one configuration.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.labelSelector
// +kubebuilder:resource:path=datapowerservices,singular=datapowerservice,shortName=dp,scope=Namespaced,categories={all,apic,integration,cp4i}
// +kubebuilder:metadata:labels={"app.kubernetes.io/instance=datapower-operator","app.kubernetes.io/managed-by=datapower-operator","app.kubernetes.io/name=datapowerservices.datapower.ibm.com"}
// +kubebuilder:metadata:annotations="datapower.ibm.com/operator-version=0.1.0"
// +kubebuilder:printcolumn:name=Phase,type=string,JSONPath=`.status.phase`,description="Pending, Running or Failed"
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether all wanted pods are ready"
// +kubebuilder:printcolumn:name=Summary,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="How many pods are ready"
// +kubebuilder:printcolumn:name=Version,type=string,JSONPath=`.status.versions.reconciled`,description="DataPower version in use"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:optionalOldSelf=true,fieldPath=".metadata",rule="oldSelf.hasValue() || self.metadata.name.size() <= 52",message="metadata.name must have at most 52 characters, because names of pods and labels are built from it: choose a shorter name"
// +kubebuilder:validation:XValidation:optionalOldSelf=true,fieldPath=".metadata",rule="oldSelf.hasValue() || self.metadata.name.matches('^[a-z][-a-z0-9]*$')",message="metadata.name must start with a letter and contain only lower-case letters, digits and '-', because a Service is named after it: choose another name"
type DataPowerService struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec is the wanted state.
	// +required
	Spec DataPowerServiceSpec `json:"spec"`

	// Status is the observed state.
	// Only the operator writes it.
	// +optional
	Status DataPowerServiceStatus `json:"status,omitzero"`
}

// DataPowerServiceList is a list of DataPowerService.
//
// +kubebuilder:object:root=true
type DataPowerServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// Items are the services.
	Items []DataPowerService `json:"items"`
}

// The list types below decide what a server-side apply by several users does.
// A list is merged by key where an entry has a natural identity and two entries of one identity contradict each
// other: users, domains, storage, hostAliases, passwordMap. The API server then refuses duplicates as well.
// A list is atomic, replaced whole, where the order means something (initCmds, extraExe, dpApp.config, dpApp.local),
// where published resources repeat an identity (env: the last one wins), where one has none (certs: the same Secret
// may appear as usrcerts and as sharedcerts; tolerations, as in a pod), and where a duplicate does no harm that
// would justify refusing what other operators accept (imagePullSecrets).

// DataPowerServiceSpec is the wanted state of a DataPowerService.
// A default that the API server does not set stands in the values of the operator's Helm chart.
// "Since" names the release of IBM's operator that brought a field.
//
// +kubebuilder:validation:XValidation:rule="!has(self.storage) || self.storage.all(s, s.type != 'persistent' || (has(oldSelf.storage) && oldSelf.storage.exists(o, o.type == 'persistent' && o.path == s.path)))",fieldPath=".storage",message="persistent storage must not be added to an existing service: create a new DataPowerService",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.storage) || oldSelf.storage.all(o, o.type != 'persistent' || (has(self.storage) && self.storage.exists(s, s.type == 'persistent' && s.path == o.path)))",fieldPath=".storage",message="persistent storage must not be removed from an existing service: keep the entry or create a new DataPowerService",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="(has(self.podManagementPolicy) ? self.podManagementPolicy : 'Parallel') == (has(oldSelf.podManagementPolicy) ? oldSelf.podManagementPolicy : 'Parallel')",fieldPath=".podManagementPolicy",message="podManagementPolicy must not change, a StatefulSet keeps it for life: create a new DataPowerService",reason=FieldValueForbidden
type DataPowerServiceSpec struct {
	// License accepts the licence and names it.
	// +required
	License License `json:"license"`

	// Version of DataPower: an exact version such as 10.6.0.1, or a channel such as 10.6-lts, which means its newest version that the operator knows.
	// An update of the operator can therefore move a channel.
	// +required
	// +kubebuilder:validation:MinLength=1
	Version string `json:"version"`

	// Replicas is the number of gateway pods.
	// With podAutoScaling.method HPA the autoscaler decides.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// Image is used in place of the image that version and license.use select.
	// The version must still be set to the DataPower version in the image.
	// Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Image string `json:"image,omitempty"`

	// ImagePullSecrets names Secrets of type kubernetes.io/dockerconfigjson.
	// Default: ibm-entitlement-key, through the generated ServiceAccount.
	// +optional
	// +listType=atomic
	ImagePullSecrets []string `json:"imagePullSecrets,omitempty"`

	// ImagePullPolicy of the DataPower container.
	// Default: IfNotPresent.
	// Since 1.4.
	// +optional
	// +kubebuilder:validation:Enum=Always;Never;IfNotPresent
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// Users of the gateways.
	// Default, also for an empty list: the privileged user admin, whose password is in the Secret admin-credentials.
	// Merged by name: two users of one name would overwrite each other.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1000
	Users []User `json:"users,omitempty"`

	// Domains of the gateways and their configuration.
	// Merged by name: a domain exists once.
	// Default: none beside the domain "default", which every gateway has.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=500
	Domains []Domain `json:"domains,omitempty"`

	// Env adds environment variables to the DataPower container.
	// Of several entries with one name the last one counts; published resources do that, so the list is replaced whole and not merged by name.
	// +optional
	// +listType=atomic
	Env []corev1.EnvVar `json:"env,omitempty"`

	// InitCmds are shell commands that run, in this order, after the operator's own preparation and before DataPower starts.
	// +optional
	// +listType=atomic
	InitCmds []string `json:"initCmds,omitempty"`

	// ExtraExe names ConfigMaps whose keys become executable files in /usr/local/extra.
	// Later ones win.
	// A change of their content rolls the pods.
	// +optional
	// +listType=atomic
	ExtraExe []string `json:"extraExe,omitempty"`

	// Debug makes the preparation before DataPower's start print what it does.
	// Default: false.
	// +optional
	Debug *bool `json:"debug,omitempty"`

	// Resources of the DataPower container.
	// +optional
	Resources *Resources `json:"resources,omitempty"`

	// LivenessProbe of the DataPower container.
	// Default: HTTP GET of / on port 7879 every 5 seconds, after 5 seconds.
	// Fields that are absent keep their defaults; the handler does when no handler is named.
	// +optional
	LivenessProbe *corev1.Probe `json:"livenessProbe,omitempty"`

	// ReadinessProbe of the DataPower container.
	// Default: as for livenessProbe.
	// +optional
	ReadinessProbe *corev1.Probe `json:"readinessProbe,omitempty"`

	// HealthCheck sets up the health check inside the DataPower container.
	// Since 1.6.5.
	// +optional
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`

	// ReadinessTimeoutSeconds restarts a container that is not ready so many seconds after its start.
	// Default: never.
	// Since 1.6.5.
	// +optional
	// +kubebuilder:validation:Minimum=60
	ReadinessTimeoutSeconds *int64 `json:"readinessTimeoutSeconds,omitempty"`

	// Affinity of the pods.
	// Default: nodes with an architecture that DataPower runs on, and rather not two pods of one service on one node.
	// A value replaces the default whole.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// NodeSelector of the pods.
	// Default: none.
	// Since 1.1.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Tolerations of the pods.
	// Default: none.
	// Since 1.1.
	// +optional
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Storage of the pods.
	// Merged by path: one directory has one volume.
	// Persistent entries cannot be added, removed or changed later.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=24
	Storage []Storage `json:"storage,omitempty"`

	// PodManagementPolicy of the StatefulSet: Parallel starts all pods at once, OrderedReady one after the other.
	// Default: Parallel.
	// Cannot be changed later.
	// +optional
	PodManagementPolicy PodManagementPolicy `json:"podManagementPolicy,omitempty"`

	// ServiceAccountName of the pods.
	// The named ServiceAccount must exist and hold the pull Secrets it needs.
	// Default: a ServiceAccount that the operator makes.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// Annotations of the pods.
	// They win over the operator's own, for example prometheus.io/scrape "true".
	// +optional
	Annotations PodAnnotations `json:"annotations,omitempty"`

	// Labels of the pods.
	// They win over the operator's own, except datapower.ibm.com/service, which selects the pods.
	// +optional
	Labels PodLabels `json:"labels,omitempty"`

	// Lifecycle hooks of the DataPower container, for example a preStop that waits for clients to leave.
	// Since 1.3.
	// +optional
	Lifecycle *corev1.Lifecycle `json:"lifecycle,omitempty"`

	// TerminationGracePeriodSeconds is how long a pod may take to stop.
	// Default: 30, set by Kubernetes.
	// Since 1.6.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`

	// PodAutoScaling changes the number or the size of the pods with their load.
	// Default: none.
	// Since 1.3.
	// +optional
	PodAutoScaling *PodAutoScaling `json:"podAutoScaling,omitempty"`

	// RunAsRoot runs DataPower as root.
	// Default: false.
	// On OpenShift that needs the security context constraints datapower-root.
	// Since 1.4.
	// +optional
	RunAsRoot *bool `json:"runAsRoot,omitempty"`

	// HostAliases become entries of the pods' hosts files and static hosts of DataPower's DNS settings.
	// Merged by ip, as in a pod: one address, one entry with all its names.
	// Since 1.6.5.
	// +optional
	// +listType=map
	// +listMapKey=ip
	// +kubebuilder:validation:MaxItems=256
	HostAliases []corev1.HostAlias `json:"hostAliases,omitempty"`

	// CreateServiceBinding said when the IBM operator made a DataPowerServiceBinding, from which other operators learn of a service.
	// Accepted and ignored: this operator makes none.
	// Since 1.6.
	// +optional
	// +kubebuilder:validation:Enum=automatic;always;never
	CreateServiceBinding string `json:"createServiceBinding,omitempty"`

	// UpdateStrategy says how a change reaches the pods.
	// Default: the rolling update of the StatefulSet.
	// Since 1.6.
	// +optional
	UpdateStrategy *UpdateStrategy `json:"updateStrategy,omitempty"`

	// CryptoMode of DataPower: permissive, or fips-140-3-l1 for FIPS 140-3 level 1.
	// Default: DataPower's own.
	// Since 1.13.
	// +optional
	// +kubebuilder:validation:Enum=permissive;fips-140-3-l1
	CryptoMode string `json:"cryptoMode,omitempty"`

	// RBM sets up role-based management.
	// Since 1.13.
	// +optional
	RBM *RBM `json:"rbm,omitempty"`

	// SNMP sets up DataPower's SNMP agent and a Prometheus exporter for it.
	// Since 1.15.
	// +optional
	SNMP *SNMP `json:"snmp,omitempty"`

	// ODTracing set up tracing for Cloud Pak for Integration.
	//
	// Deprecated: accepted and ignored.
	// The feature is gone from DataPower.
	// +optional
	ODTracing *ODTracing `json:"odTracing,omitempty"`

	// JaegerTracing set up a Jaeger agent.
	//
	// Deprecated: accepted and ignored.
	// The feature is gone from DataPower.
	// +optional
	JaegerTracing *JaegerTracing `json:"jaegerTracing,omitempty"`
}

// License accepts and names a licence.
type License struct {
	// Accept must be true: it accepts the licence that the field license names.
	// +required
	// +kubebuilder:validation:XValidation:rule="self",message="license.accept must be true: accept the licence named in license.license to run DataPower"
	Accept bool `json:"accept"`

	// License is the identifier of the licence, for example L-EYGU-PVGRBC.
	// It belongs to version and use.
	// +required
	// +kubebuilder:validation:Pattern=`^L-[A-Z0-9]{4}-[A-Z0-9]{6}$`
	License string `json:"license"`

	// Use selects the edition of DataPower, and with it the image and the default CPU request.
	// +required
	Use LicenseUse `json:"use"`
}

// LicenseUse is an edition of DataPower.
// +kubebuilder:validation:Enum=production;nonproduction;developers;developers-limited
type LicenseUse string

// The editions of DataPower.
const (
	LicenseUseProduction        LicenseUse = "production"
	LicenseUseNonproduction     LicenseUse = "nonproduction"
	LicenseUseDevelopers        LicenseUse = "developers"
	LicenseUseDevelopersLimited LicenseUse = "developers-limited"
)
