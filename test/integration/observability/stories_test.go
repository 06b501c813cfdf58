package observability_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/gateway"
)

// refuse has the validator refuse all services for half a minute.
func (p *prometheus) refuse() step {
	return step{
		how: "every service that is created is of a version that does not exist",
		again: func() {
			wrong := service("elsewhere", "wrong")
			wrong.Spec.Version = "9.9-lts"
			require.Error(p, p.kube.Create(p.Context(), wrong, client.DryRunAll))
		},
		fires: []firing{fires("DataPowerOperatorAdmissionRefusingAll", "kind=DataPowerService")},
	}
}

// lack is a service that cannot be rendered.
func (p *prometheus) lack() step {
	return step{
		how:  "the Secret of a service's administrator is missing",
		make: func() { p.create(service("elsewhere", "lacking")) },
		fires: []firing{
			fires("DataPowerServiceNotReady", "namespace=elsewhere", "name=lacking"), fires("DataPowerServiceError", "namespace=elsewhere", "name=lacking"),
			fires("DataPowerReleaseFailed", "namespace=elsewhere", "name=lacking", "state=Irreconcilable"),
		},
	}
}

// obstruct is a webhook that lets no DataPowerService be changed.
func (p *prometheus) obstruct() story {
	var webhook *admissionregistrationv1.ValidatingWebhookConfiguration
	const most = 20
	made, last := 0, time.Time{}
	return story{
		{
			how: "a webhook of somebody else, which is away, lets no service be changed",
			make: func() {
				webhook = p.webhook("services", blocked, "datapower.ibm.com", "datapowerservices", away(), admissionregistrationv1.Update)
			},
			again: func() { // each is tried again ever less often
				if made < most && time.Since(last) > time.Second {
					made, last = made+1, time.Now()
					p.create(service(blocked, fmt.Sprintf("blocked-%d", made)))
				}
			},
			fires: []firing{
				fires("DataPowerOperatorReconcileErrors"), fires("DataPowerReleasePending", "namespace="+blocked),
			},
		},
		{make: func() { require.NoError(p, p.kube.Delete(p.Context(), webhook)) }},
	}
}

// migrate has an object that cannot be stored anew.
func (p *prometheus) migrate() story {
	var webhook *admissionregistrationv1.ValidatingWebhookConfiguration
	return story{
		{
			how: "an object is stored in an old version, and a webhook of somebody else, which is away, lets no status be changed",
			make: func() {
				old := service(stored, "old")
				p.create(old)
				webhook = p.webhook("statuses", stored, "datapower.ibm.com", "datapowerservices/status", away(), admissionregistrationv1.Update)
				p.untilStopped(func() error { return p.kube.Status().Patch(p.Context(), old, labelled(), client.DryRunAll) })
				p.storeOld()
			},
			fires: []firing{fires("DataPowerOperatorStorageMigrationStuck")},
		},
		{make: func() { require.NoError(p, p.kube.Delete(p.Context(), webhook)) }},
	}
}

// hang is a webhook that keeps all workers waiting.
func (p *prometheus) hang() step {
	return step{
		how: "a webhook of somebody else, which never answers, holds all workers up while many services are created",
		make: func() {
			p.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: hung, Name: "admin-credentials"}, StringData: map[string]string{"password": "hunter2"}})
			p.webhook("configmaps", hung, "", "configmaps", p.silent(), admissionregistrationv1.Create)
			for i := range 120 {
				p.create(service(hung, fmt.Sprintf("hung-%d", i)))
			}
		},
		fires: []firing{fires("DataPowerOperatorStalled"), fires("DataPowerOperatorQueueBackedUp")},
	}
}

// peering is what goes wrong with gateways.
func (p *prometheus) peering() story {
	refusing := gateway.Faults{NoResetAction: true, RefuseWrites: true}
	steps := story{
		{
			how:   "gateways list a peer that is gone, and refuse to be reset",
			make:  func() { p.afflict(refusing); p.loseGateway() },
			again: func() { p.afflict(refusing) },
			fires: []firing{
				fires("DataPowerPeeringStalePeers", "namespace="+peers, "service=gw"), fires("DataPowerPeeringResetFailing"),
			},
		},
		{
			how:   "gateways refuse the password",
			again: func() { p.afflict(gateway.Faults{Unauthorized: true}) },
			fires: []firing{fires("DataPowerPeeringUnhealthy", "service=gw", "reason=CredentialsRefused"), fires("DataPowerGatewayRequestsFailing")},
		},
		{
			how:   "work is left from an hour ago, and the only place for work is taken by gateways that do not answer",
			again: func() { p.afflict(gateway.Faults{Hang: true}); p.leaveWork() },
			fires: []firing{fires("DataPowerMonitorWorkOverdue", "namespace="+gateways, "name=one")},
		},
	}
	if !long() {
		return steps
	}
	return append(story{p.storm()}, steps...)
}

// storm loses gateways with many peerings.
func (p *prometheus) storm() step {
	lost, known := 0, -1
	return step{
		how: "a gateway with 32 peerings is replaced again and again",
		again: func() {
			if now := p.resets(); now > known && lost < 5 && p.healed() {
				known, lost = now, lost+1
				p.loseGateway()
			}
		},
		fires: []firing{fires("DataPowerPeeringResetStorm")},
		until: func() bool { return p.resets() > known && p.healed() },
	}
}

// resets are those that Prometheus knows of.
func (p *prometheus) resets() int { return p.number(`sum(datapower_operator_peering_resets_total)`) }

// number is the only value of a query, 0 when there is none.
func (p *prometheus) number(query string) int {
	p.Helper()
	answer, err := p.ask(query)
	require.NoError(p, err)
	count := 0
	if len(answer) == 1 {
		count, err = strconv.Atoi(answer[0])
		require.NoError(p, err)
	}
	return count
}

// orphan takes the pod of the sidecar's leader away, and then puts another one in its place, which is not to be marked.
func (p *prometheus) orphan(reader string) story {
	var pod string
	before := 0
	failures := func() int {
		return p.number(`sum(datapower_operator_leader_label_failures_total{container="sidecar"})`)
	}
	return story{
		{
			how: "the pod of the sidecar's leader is deleted while the process goes on",
			make: func() {
				pod = p.leader(reader, "sidecar").pod
				require.NoError(p, p.kube.Delete(p.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: pod}}))
			},
			fires: []firing{fires("DataPowerOperatorLeaderLabelFailing", "container=sidecar")},
		},
		{
			how:   "another pod of the same name comes",
			make:  func() { p.createPod(pod); before = failures() },
			until: func() bool { return failures() > before+1 },
		},
		{make: func() { assert.NotContains(p, p.wearing("leader"), pod) }},
	}
}

// mistake is a replica that was started with the wrong settings, and restarts.
func (p *prometheus) mistake() story {
	var r *replica
	restarts := 0
	replicas := slices.Clone(p.all)
	return story{
		{
			how: "a replica with a Lease of its own, too little memory and a certificate that nobody renewed",
			make: func() {
				started, ca := p.misconfigured()
				r = started
				p.also = ca
				p.trusted()
				p.targets(p.all...)
			},
			fires: []firing{
				fires("DataPowerOperatorSplitBrain", "name=datapower-helm-operator"), fires("DataPowerOperatorMemoryHigh", "pod=operator-9"),
				fires("DataPowerOperatorCertificateExpiring", "use=metrics", "certificate=served"),
			},
		},
		{
			how: "a replica restarts three times",
			again: func() {
				changes, err := p.ask(`changes(process_start_time_seconds{pod="operator-9"}[1m])`)
				if err != nil || len(changes) == 0 || changes[0] != fmt.Sprint(restarts) || restarts == 3 {
					return
				}
				restarts++
				r.stop(syscall.SIGKILL)
				p.run(r)
			},
			fires: []firing{fires("DataPowerOperatorRestarting", "pod=operator-9")},
		},
		{make: func() { r.stop(syscall.SIGKILL); p.targets(replicas...) }},
	}
}

// misdirect has requests about ConfigMaps sent to the validator of services.
func (p *prometheus) misdirect() story {
	return story{{
		how: "a webhook configuration of somebody else sends ConfigMaps to the validator of services",
		make: func() {
			var ours admissionregistrationv1.ValidatingWebhookConfigurationList
			require.NoError(p, p.kube.List(p.Context(), &ours))
			for _, configuration := range ours.Items {
				if strings.Contains(configuration.Name, "datapowerservices.validator") {
					p.webhook("misdirected", misdirected, "", "configmaps", configuration.Webhooks[0].ClientConfig, admissionregistrationv1.Create)
				}
			}
		},
		again: func() {
			_ = p.kube.Create(p.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: misdirected, Name: "any"}}, client.DryRunAll)
		},
		fires: []firing{fires("DataPowerOperatorAdmissionFailing", "webhook=validator", "kind=DataPowerService")},
	}}
}

// certificates are renewed from the root on, and then cannot be kept.
func (p *prometheus) certificates(reader string) story {
	secret := func(name string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}}
	}
	var began time.Time
	old := p.roots
	follow := func() {
		if p.trust() {
			p.trusted()
		}
	}
	return story{
		{
			how: "the CA is replaced, and Prometheus gets each bundle as the Prometheus operator gives it",
			make: func() {
				began = time.Now()
				require.NoError(p, p.kube.Delete(p.Context(), secret("datapower-operator-ca")))
			},
			again: follow,
			until: func() bool { return p.renewed(reader, old) },
		},
		{
			how: "a webhook of somebody else, which is away, lets no Secret of the operator be written",
			make: func() {
				lost, err := p.ask(fmt.Sprintf(`count(min_over_time(up{job=%q, pod!="operator-9"}[%s]) == 0)`, operatorJob, over(began)))
				require.NoError(p, err)
				assert.Empty(p, lost, "no scrape failed for the certificate's sake")
				p.webhook("secrets", system, "", "secrets", away(), admissionregistrationv1.Create, admissionregistrationv1.Update)
				p.untilStopped(func() error { return p.kube.Create(p.Context(), secret("any"), client.DryRunAll) })
				require.NoError(p, p.kube.Delete(p.Context(), secret("datapower-operator")))
			},
			fires: []firing{fires("DataPowerOperatorCertificateFailing", "use=webhooks")},
		},
		{make: func() {
			require.NoError(p, p.kube.Delete(p.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "secrets"}}))
		}, again: follow, until: func() bool {
			return p.kube.Get(p.Context(), client.ObjectKeyFromObject(secret("datapower-operator")), &corev1.Secret{}) == nil
		}},
	}
}

// end takes the Leases away, and then all replicas.
func (p *prometheus) end() story {
	return story{
		{until: func() bool { // the webhooks before had such errors, too
			errors, err := p.ask(`ALERTS{alertname="DataPowerOperatorAPIErrors", container="sidecar"}`)
			return err == nil && len(errors) == 0
		}},
		{
			how: "a webhook of somebody else, which is away, lets no Lease be renewed, and the leaders end",
			make: func() {
				p.webhook("leases", system, "coordination.k8s.io", "leases", away(), admissionregistrationv1.Update)
			},
			fires: []firing{
				fires("DataPowerOperatorNoLeader", "name=datapower-sidecar"), fires("DataPowerOperatorNoLeader", "name=datapower-helm-operator"),
				fires("DataPowerOperatorAPIErrors", "container=sidecar"),
				fires("DataPowerOperatorReplicaDown", "container=sidecar"), fires("DataPowerOperatorReplicaDown", "container=helm-operator"),
			},
		},
		{
			how: "all replicas end",
			make: func() {
				for _, r := range p.all {
					r.stop(syscall.SIGKILL)
				}
			},
			fires: []firing{fires("DataPowerOperatorDown", "container=sidecar"), fires("DataPowerOperatorDown", "container=helm-operator")},
		},
	}
}
