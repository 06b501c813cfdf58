package validating_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

func TestMonitors(t *testing.T) {
	t.Parallel()
	late := []string{`metadata.name is that of a DataPowerService that exists: make the monitor first, else the operator makes it`}
	lonely := []string{`metadata.name can be the name of no DataPowerService: the monitor will have none to watch`}
	tests := map[string]struct {
		name, spec       string
		serviceExists    bool
		errors, warnings []string
	}{
		"the defaults":            {"gw", `{lifecycleDebounceMs: 10000, peeringRecoveryCheckIntervalMs: 1000, monitorGatewayPeering: false}`, false, nil, nil},
		"no settings":             {"gw", `{}`, false, nil, nil},
		"the least times":         {"gw", `{lifecycleDebounceMs: 1000, peeringRecoveryCheckIntervalMs: 1000}`, false, nil, nil},
		"made after its service":  {"gw", `{}`, true, nil, late},
		"a name that is too long": {strings.Repeat("a", 53), `{}`, false, nil, lonely},
		"a name with a dot":       {"a.b", `{}`, false, nil, lonely},
		"times that are too short": {"gw", `{lifecycleDebounceMs: 999, peeringRecoveryCheckIntervalMs: 0, monitorGatewayPeering: true}`, false, []string{
			`spec.lifecycleDebounceMs: Invalid value: "integer": must be at least 1000: raise it`,
			`spec.peeringRecoveryCheckIntervalMs: Invalid value: "integer": must be at least 1000: raise it`,
		}, nil},
		"an interval that nothing uses": {
			"gw", `{peeringRecoveryCheckIntervalMs: 2000}`, false, nil,
			[]string{`spec.peeringRecoveryCheckIntervalMs has no effect: monitorGatewayPeering is false`},
		},
		"pinned certificates": {"gw", `{monitorGatewayPeering: true, restManagement: {port: 5555, tls: {secretName: certs, serverName: gw.example.com}}}`, false, nil, nil},
		"gateways that nobody reaches for": {
			"gw", `{restManagement: {port: 5554}}`, false, nil, []string{`spec.restManagement has no effect: monitorGatewayPeering is false`},
		},
		"gateways that are not verified": {
			"gw", `{monitorGatewayPeering: true, restManagement: {tls: {insecureSkipVerify: true, serverName: a}}}`, false, nil, []string{
				`spec.restManagement.tls.serverName has no effect: insecureSkipVerify is true`,
				`spec.restManagement.tls.insecureSkipVerify lets whoever can redirect the operator's connections learn the administrator's password: name a Secret with ca.crt or tls.crt in secretName instead`,
			},
		},
		"gateways that cannot be reached": {
			"gw", `{monitorGatewayPeering: true, restManagement: {port: 0, tls: {secretName: A, serverName: ` + strings.Repeat("a", 254) + `}}}`, false, []string{
				`spec.restManagement.port: Invalid value: "integer": must be a port number: choose one from 1 to 65535`,
				`spec.restManagement.tls.secretName: Invalid value: "string": must be the name of a Secret: lower-case letters, digits, '-' and '.', at most 253 characters`,
				`spec.restManagement.tls.serverName: Too long: may not be more than 253 characters`,
			}, nil,
		},
		"an interval that something uses": {"gw", `{peeringRecoveryCheckIntervalMs: 2000, monitorGatewayPeering: true}`, false, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			monitor := &v1beta2.DataPowerMonitor{}
			monitor.Name = test.name
			decode(t, overlaid(t, test.spec, ``), &monitor.Spec)
			errors, warnings := validating.Monitor(monitor, nil, test.serviceExists)
			assert.Equal(t, test.errors, texts(errors))
			assert.Equal(t, test.warnings, warnings)
		})
	}
}

func TestMonitorsThatStayAreNotJudgedAgain(t *testing.T) {
	t.Parallel()
	broken := &v1beta2.DataPowerMonitor{Spec: v1beta2.DataPowerMonitorSpec{LifecycleDebounceMs: new(int32(1))}}
	errors, warnings := validating.Monitor(broken.DeepCopy(), broken, true)
	assert.Empty(t, errors)
	assert.Empty(t, warnings)

	errors, warnings = validating.Monitor(broken, &v1beta2.DataPowerMonitor{}, true)
	assert.Len(t, errors, 1)
	assert.Empty(t, warnings, "an update is never late")

	broken.DeletionTimestamp = &metav1.Time{}
	errors, _ = validating.Monitor(broken, nil, false)
	assert.Empty(t, errors)
}

const oldValid = `license: {accept: true, use: production}
version: 10.0.0
users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}]
`

func serviceV1beta1(t testing.TB, spec string) *v1beta1.DataPowerService {
	t.Helper()
	svc := &v1beta1.DataPowerService{}
	svc.Name = "gw"
	decode(t, overlaid(t, oldValid, spec), &svc.Spec)
	return svc
}

func serviceV1beta2(t testing.TB, spec string) *v1beta2.DataPowerService {
	t.Helper()
	svc := &v1beta2.DataPowerService{}
	svc.Name = "gw"
	decode(t, overlaid(t, oldValid, spec), &svc.Spec)
	return svc
}

func TestServicesOfOldVersions(t *testing.T) {
	t.Parallel()
	const memory = `spec.resources.limits.memory: Invalid value: "string": must be a quantity, for example 8Gi`
	tests := map[string]struct {
		spec             string
		inV1beta1        bool
		inV1beta2        bool
		errors, warnings []string
	}{
		"a plain one":         {``, true, true, nil, nil},
		"a rule of all":       {`replicas: -1`, true, true, []string{`spec.replicas: Invalid value: "integer": must be at least 0: raise it`}, nil},
		"an unknown channel":  {`version: 9-lts`, true, true, []string{`spec.version: Invalid value: "string": must be an exact version such as 10.6.0.1 or one of the channels 10.0-cd, 10.0-lts, 10.5-cd, 10.5-lts, 10.6-cd, 10.6-lts, 11.0-sc2`}, nil},
		"too little memory":   {`resources: {limits: {memory: 1Gi}}`, true, true, []string{`spec.resources.limits.memory: Invalid value: "string": limits.memory must be at least 2Gi: raise it (a G is less than a Gi)`}, nil},
		"memory that is none": {`resources: {limits: {memory: lots}}`, true, true, []string{memory}, nil},
		"a request that is none": {
			`resources: {requests: {memory: lots}}`, true, true,
			[]string{`spec.resources.requests.memory: Invalid value: "string": must be a quantity, for example 8Gi`}, nil,
		},
		"an app without configuration": {
			`domains: [{name: a, dpApp: {config: [], local: [l]}}]`, true, true,
			[]string{`spec.domains[0].dpApp.config: Required value: name at least one ConfigMap, or use v1beta3`}, nil,
		},
		"few cores in v1beta1": {
			`resources: {requests: {cpu: 3}}`, true, false, []string{`spec.resources.requests.cpu: Invalid value: "integer": must be at least 4: raise it`}, nil,
		},
		"few cores in v1beta2": {`resources: {requests: {cpu: 500m}}`, false, true, nil, nil},
		"defaults of the monitor's Deployment": {
			`datapowerMonitor: {image: "docker.io/ibmcom/datapower-monitor:latest", livenessProbePort: 8080, xmlMgmtPort: 5550,
			  resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: 500m, memory: 1Gi}}}`, true, false, nil, nil,
		},
		"settings of the monitor's Deployment": {
			`datapowerMonitor: {image: a, livenessProbePort: 1, xmlMgmtPort: 2, resources: {}, env: [{name: A}], lifecycleDebounceMs: 5, peeringRecoveryCheckIntervalMs: 1000}`,
			true, false, nil, []string{
				`spec.datapowerMonitor.image has no effect: the monitor is part of the operator`,
				`spec.datapowerMonitor.livenessProbePort has no effect: the monitor is part of the operator`,
				`spec.datapowerMonitor.resources has no effect: the monitor is part of the operator`,
				`spec.datapowerMonitor.env has no effect: the monitor is part of the operator`,
				`spec.datapowerMonitor.xmlMgmtPort has no effect: the operator uses rest-mgmt`,
				`spec.datapowerMonitor.lifecycleDebounceMs is too short: the DataPowerMonitor gets 1000`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := loadCatalogue(t)
			if test.inV1beta1 {
				errors, warnings := validating.ServiceV1beta1(serviceV1beta1(t, test.spec), nil, c)
				assert.Equal(t, test.errors, texts(errors), "v1beta1")
				assert.Equal(t, test.warnings, warnings, "v1beta1")
			}
			if test.inV1beta2 {
				errors, warnings := validating.ServiceV1beta2(serviceV1beta2(t, test.spec), nil, c)
				assert.Equal(t, test.errors, texts(errors), "v1beta2")
				assert.Equal(t, test.warnings, warnings, "v1beta2")
			}
		})
	}
}

func TestUpdatesOfOldVersions(t *testing.T) {
	t.Parallel()
	c := loadCatalogue(t)
	const removed = `spec.storage: Forbidden: persistent storage must not be removed from an existing service: keep the entry or create a new DataPowerService`
	claim := `storage: [{type: persistent, path: /a, size: 1Gi}]`
	errors, _ := validating.ServiceV1beta1(serviceV1beta1(t, ``), serviceV1beta1(t, claim), c)
	assert.Equal(t, []string{removed}, texts(errors))
	errors, _ = validating.ServiceV1beta2(serviceV1beta2(t, ``), serviceV1beta2(t, claim), c)
	assert.Equal(t, []string{removed}, texts(errors))

	broken := `resources: {limits: {memory: lots}}`
	errors, warnings := validating.ServiceV1beta1(serviceV1beta1(t, broken), serviceV1beta1(t, broken), c)
	assert.Empty(t, errors, "a spec that stays is not judged again")
	assert.Empty(t, warnings)
	errors, _ = validating.ServiceV1beta2(serviceV1beta2(t, broken), serviceV1beta2(t, broken), c)
	assert.Empty(t, errors)

	first, second := serviceV1beta1(t, broken), serviceV1beta2(t, broken)
	first.DeletionTimestamp, second.DeletionTimestamp = &metav1.Time{}, &metav1.Time{}
	errors, _ = validating.ServiceV1beta1(first, nil, c)
	assert.Empty(t, errors, "one that is being deleted is not judged")
	errors, _ = validating.ServiceV1beta2(second, nil, c)
	assert.Empty(t, errors)
}

func TestAnOldServiceWhoseSettingsDoNotFitIsRefused(t *testing.T) {
	t.Parallel()
	svc := serviceV1beta1(t, `datapowerMonitor: {image: x}`)
	svc.Annotations = map[string]string{"a": strings.Repeat("x", 256*1024-1), datapower.PauseAnnotation: "x"}
	for _, old := range []*v1beta1.DataPowerService{nil, serviceV1beta1(t, ``)} {
		errors, _ := validating.ServiceV1beta1(svc, old, loadCatalogue(t))
		require.Len(t, errors, 1)
		assert.Contains(t, errors[0].Error(), `metadata.annotations: Invalid value: "object": DataPowerService`)
		assert.Contains(t, errors[0].Error(), "does not fit into the annotations")
	}
	errors, _ := validating.ServiceV1beta1(serviceV1beta1(t, `debug: true`), svc, loadCatalogue(t))
	require.Len(t, errors, 1)
}
