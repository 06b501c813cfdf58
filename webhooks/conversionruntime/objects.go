package conversionruntime

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// Names that users of IBM's operator know.
const (
	// CRDName is the name of the definition whose versions are converted.
	CRDName = "datapowerservices." + datapower.Group
	// Name is that of the Deployment and of the Service.
	Name = "datapower-operator-conversion-webhook"
	// SecretName is that of the Secret with the certificate that the webhook serves.
	SecretName = "datapower-conversion-key-cert"
	// CASecretName is that of the Secret with the CA of the certificate.
	CASecretName = "datapower-conversion-ca"
	// AccountName is that of the ServiceAccount, the ClusterRole and the ClusterRoleBinding.
	AccountName = "dpop-conv-webhook"
	// ManagedByAnnotation of the Deployment names the operator that manages it, "<namespace>/<name>" of its Deployment.
	ManagedByAnnotation = "datapower.ibm.com/managed-by"
	// HolderAnnotation of the definition names the operator that manages the webhook, in the same form.
	HolderAnnotation = "datapower.ibm.com/conversion-managed-by"
	// OperatorName is the name of every operator's Deployment.
	OperatorName = "datapower-operator"
	// Port is where the webhook is served, in the pods and by the Service.
	Port = 9090
	// HealthPort is where the pods serve /healthz, /readyz and /metrics.
	HealthPort = 8081
	// CertDir is where the pods find tls.crt and tls.key.
	CertDir = "/etc/datapower-conversion/tls"
)

const (
	replicas        = 2
	containerName   = "conversion-webhook"
	portName        = "webhook"
	healthPortName  = "health"
	certVolume      = "certificate"
	nameLabel       = "app.kubernetes.io/name"
	componentLabel  = "app.kubernetes.io/component"
	partOfLabel     = "app.kubernetes.io/part-of"
	managedByLabel  = "app.kubernetes.io/managed-by"
	hostnameLabel   = "kubernetes.io/hostname"
	terminationTime = 30 // seconds
)

// PodSpec is what the pods of the Deployment get from the operator that manages it.
type PodSpec struct {
	// Image is that of the operator, or what CONVERSION_WEBHOOK_IMAGE says.
	Image string
	// Command starts the conversion webhook in the image, with all arguments but those about certificate and ports.
	Command []string
	// PullSecrets and PullPolicy are those of the operator's pods.
	PullSecrets []corev1.LocalObjectReference
	PullPolicy  corev1.PullPolicy
}

// builder makes the objects of the webhook.
type builder struct {
	self  Operator
	owner metav1.OwnerReference
}

// ownerOf is the owner reference of everything that belongs to the webhook.
func ownerOf(uid types.UID) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition", Name: CRDName, UID: uid,
	}
}

// Labels are those of everything that belongs to the webhook.
func Labels() map[string]string {
	return map[string]string{
		nameLabel: Name, componentLabel: containerName, partOfLabel: OperatorName, managedByLabel: OperatorName,
	}
}

// selector is part of every pod's labels. It never changes: a Deployment's selector is immutable.
func selector() map[string]string { return map[string]string{nameLabel: Name} }

func (b builder) meta(name, namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: Labels(), OwnerReferences: []metav1.OwnerReference{b.owner}}
}

func (b builder) serviceAccount() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   b.meta(AccountName, b.self.Namespace),
		AutomountServiceAccountToken: ptr.To(false),
	}
}

// clusterRole allows nothing: a conversion reads and writes nothing but the object.
func (b builder) clusterRole() *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: b.meta(AccountName, ""),
		Rules:      []rbacv1.PolicyRule{},
	}
}

func (b builder) clusterRoleBinding() *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: b.meta(AccountName, ""),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: AccountName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: AccountName, Namespace: b.self.Namespace}},
	}
}

func (b builder) service() *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: b.meta(Name, b.self.Namespace),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeClusterIP,
			Selector: selector(),
			Ports: []corev1.ServicePort{{
				Name: portName, Port: Port, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString(portName),
			}},
		},
	}
}

func (b builder) deployment(pod PodSpec) *appsv1.Deployment {
	meta := b.meta(Name, b.self.Namespace)
	meta.Annotations = map[string]string{ManagedByAnnotation: b.self.String()}
	none := intstr.FromInt32(0)
	one := intstr.FromInt32(1)
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](replicas),
			Selector: &metav1.LabelSelector{MatchLabels: selector()},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &one},
			},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: Labels()}, Spec: podSpec(pod)},
		},
	}
}

func podSpec(pod PodSpec) corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName:            AccountName,
		AutomountServiceAccountToken:  ptr.To(false),
		ImagePullSecrets:              pod.PullSecrets,
		TerminationGracePeriodSeconds: ptr.To[int64](terminationTime),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:   ptr.To(true),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: hostnameLabel, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: selector()},
		}},
		Containers: []corev1.Container{container(pod)},
		Volumes: []corev1.Volume{{Name: certVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: SecretName,
			Items: []corev1.KeyToPath{
				{Key: corev1.TLSCertKey, Path: corev1.TLSCertKey}, {Key: corev1.TLSPrivateKeyKey, Path: corev1.TLSPrivateKeyKey},
			},
		}}}},
	}
}

func container(pod PodSpec) corev1.Container {
	probe := func(path string, period int32) *corev1.Probe {
		return &corev1.Probe{PeriodSeconds: period, ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(healthPortName)}}}
	}
	policy := pod.PullPolicy
	if policy == "" {
		policy = corev1.PullIfNotPresent
	}
	return corev1.Container{
		Name:            containerName,
		Image:           pod.Image,
		ImagePullPolicy: policy,
		Command:         pod.Command,
		Args: []string{
			"--cert-dir=" + CertDir, fmt.Sprintf("--bind-address=:%d", Port), fmt.Sprintf("--health-probe-bind-address=:%d", HealthPort),
		},
		Ports: []corev1.ContainerPort{
			{Name: portName, ContainerPort: Port, Protocol: corev1.ProtocolTCP},
			{Name: healthPortName, ContainerPort: HealthPort, Protocol: corev1.ProtocolTCP},
		},
		LivenessProbe:  probe("/healthz", 10),
		ReadinessProbe: probe("/readyz", 5),
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false),
			ReadOnlyRootFilesystem:   ptr.To(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: certVolume, MountPath: CertDir, ReadOnly: true}},
	}
}
