package validating_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

func TestAllErrorsComeAtOnceAndShowNoValue(t *testing.T) {
	t.Parallel()
	svc := service(t, `license: {use: hunter2, license: hunter2}
version: hunter2
replicas: -1
image: " hunter2"
env: [{name: "hunter2=", value: hunter2}]
users: [{name: "hunter2\n", passwordSecret: hunter2_, accessLevel: hunter2, group: hunter2}]
initCmds: ["echo hunter2"]
domains: [{name: hunter2/, passphraseSecret: hunter2, settings: {passphrase: {secret: hunter2, generate: true}}}]
storage: [{type: hunter2, path: "hunter2:"}]`)
	errors, warnings := validating.Service(svc, nil, smallCatalogue{})
	assert.Len(t, errors, 16)
	for _, text := range append(texts(errors), warnings...) {
		assert.NotContains(t, text, "hunter2")
	}
}

func TestNamesOfServices(t *testing.T) {
	t.Parallel()
	const long = `metadata.name: Invalid value: "string": metadata.name must have at most 52 characters, because names of pods and labels are built from it: choose a shorter name`
	const form = `metadata.name: Invalid value: "string": metadata.name must start with a letter and contain only lower-case letters, digits and '-', because a Service is named after it: choose another name`
	for name, want := range map[string][]string{
		strings.Repeat("a", 52): nil, "a-1": nil, "": nil,
		strings.Repeat("a", 53): {long}, "1a": {form}, "a.b": {form}, strings.Repeat("1", 53): {long, form},
	} {
		svc := service(t, ``)
		svc.Name = name
		errors, _ := validating.Service(svc, nil, smallCatalogue{})
		assert.Equal(t, want, texts(errors), name)
		changed := svc.DeepCopy()
		changed.Spec.Debug = new(true)
		errors, _ = validating.Service(changed, svc, smallCatalogue{})
		assert.Empty(t, errors, "a name that is there stays")
	}
}

func TestAnnotationsThatSteerTheOperator(t *testing.T) {
	t.Parallel()
	const pause = `metadata.annotations[datapower.ibm.com/pause]: Invalid value: "string": must be "true" or a duration of at least 1m, for example "2h"`
	const stop = `metadata.annotations[datapower.ibm.com/stop] should be "true" or "false"; another value may have no effect`
	tests := map[string]struct {
		key, value       string
		errors, warnings []string
	}{
		"a pause without end":       {datapower.PauseAnnotation, "true", nil, nil},
		"a pause that is off":       {datapower.PauseAnnotation, "false", nil, nil},
		"a pause of a minute":       {datapower.PauseAnnotation, "1m", nil, nil},
		"a pause of seconds":        {datapower.PauseAnnotation, "59s", []string{pause}, nil},
		"a pause that is none":      {datapower.PauseAnnotation, "later", []string{pause}, nil},
		"an empty pause":            {datapower.PauseAnnotation, "", []string{pause}, nil},
		"a stop":                    {datapower.StopAnnotation, "true", nil, nil},
		"a stop that is none":       {datapower.StopAnnotation, "yes", nil, []string{stop}},
		"an annotation of somebody": {"example.com/pause", "x", nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			svc := service(t, ``)
			svc.Annotations = map[string]string{test.key: test.value}
			errors, warnings := validating.Service(svc, nil, smallCatalogue{})
			assert.Equal(t, test.errors, texts(errors))
			assert.Equal(t, test.warnings, warnings)

			errors, warnings = validating.Service(svc, service(t, ``), smallCatalogue{})
			assert.Equal(t, test.errors, texts(errors), "when it is added")
			assert.Equal(t, test.warnings, warnings, "when it is added")

			errors, warnings = validating.Service(svc, svc.DeepCopy(), smallCatalogue{})
			assert.Empty(t, errors, "when it stays")
			assert.Empty(t, warnings, "when it stays")

			errors, _ = validating.Stored(svc, smallCatalogue{})
			assert.Empty(t, errors, "when it is stored")
		})
	}
}

func TestUpdatesOfWhatAStatefulSetKeeps(t *testing.T) {
	t.Parallel()
	const claim = `{type: persistent, path: /a, size: 5Gi, class: fast, selector: {matchLabels: {a: b}}}`
	tests := map[string]struct {
		old, new string
		want     []string
	}{
		"the order of pods": {
			`podManagementPolicy: Parallel`, `podManagementPolicy: OrderedReady`,
			[]string{`spec.podManagementPolicy: Forbidden: podManagementPolicy must not change, a StatefulSet keeps it for life: create a new DataPowerService`},
		},
		"the order of pods differs from the default": {
			``, `podManagementPolicy: OrderedReady`,
			[]string{`spec.podManagementPolicy: Forbidden: podManagementPolicy must not change, a StatefulSet keeps it for life: create a new DataPowerService`},
		},
		"the order of pods is said for the first time": {``, `podManagementPolicy: Parallel`, nil},
		"persistent storage is added": {
			`storage: [` + claim + `]`, `storage: [{type: persistent, path: /b, size: 1Gi}, ` + claim + `]`,
			[]string{`spec.storage[0]: Forbidden: persistent storage must not be added to an existing service: create a new DataPowerService`},
		},
		"ephemeral storage becomes persistent": {
			`storage: [{type: ephemeral, path: /a, size: 1Gi}]`, `storage: [{type: persistent, path: /a, size: 1Gi}]`,
			[]string{`spec.storage[0]: Forbidden: persistent storage must not be added to an existing service: create a new DataPowerService`},
		},
		"persistent storage is removed": {
			`storage: [` + claim + `]`, ``,
			[]string{`spec.storage: Forbidden: persistent storage must not be removed from an existing service: keep the entry or create a new DataPowerService`},
		},
		"several claims are removed": {
			`storage: [` + claim + `, {type: persistent, path: /b, size: 1Gi}]`, `storage: []`,
			[]string{`spec.storage: Forbidden: persistent storage must not be removed from an existing service: keep the entry or create a new DataPowerService`},
		},
		"a claim changes": {
			`storage: [` + claim + `]`, `storage: [{type: persistent, path: /a, size: 6Gi, class: slow, deleteClaim: true}]`,
			[]string{
				`spec.storage[0].size: Forbidden: size of persistent storage must not change: create a new DataPowerService`,
				`spec.storage[0].class: Forbidden: class of persistent storage must not change: create a new DataPowerService`,
				`spec.storage[0].selector: Forbidden: selector of persistent storage must not change: create a new DataPowerService`,
				`spec.storage[0].deleteClaim: Forbidden: deleteClaim of persistent storage must not change: create a new DataPowerService`,
			},
		},
		"a claim moves in the list and its mode goes": {
			`storage: [{type: persistent, path: /a, size: 5Gi, volumeMode: Block}, {type: ephemeral, path: /b}]`,
			`storage: [{type: ephemeral, path: /c}, {type: persistent, path: /a, size: 5120Mi}]`, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errors, _ := validating.Service(service(t, test.new), service(t, test.old), smallCatalogue{})
			assert.Equal(t, test.want, texts(errors))
		})
	}
}

func TestALicenceWithoutID(t *testing.T) {
	t.Parallel()
	const warning = `spec.license.license is not set, because the service was made with an older API version: name the licence`
	const refusal = `spec.license.license: Required value: name the licence that license.accept accepts, for example L-EYGU-PVGRBC`
	unnamed := service(t, `license: {accept: true, use: production}`)
	errors, _ := validating.Service(unnamed, nil, smallCatalogue{})
	assert.Equal(t, []string{refusal}, texts(errors), "a creation names it")

	errors, warnings := validating.Stored(unnamed, smallCatalogue{})
	assert.Empty(t, errors, "a stored service may be older")
	assert.Equal(t, []string{warning}, warnings)

	scaled := unnamed.DeepCopy()
	scaled.Spec.Replicas = new(int32(3))
	errors, warnings = validating.Service(scaled, unnamed, smallCatalogue{})
	assert.Empty(t, errors, "an update of something else keeps it")
	assert.Equal(t, []string{warning}, warnings)

	moved := unnamed.DeepCopy()
	moved.Spec.License.Use = v1beta3.LicenseUseDevelopers
	errors, _ = validating.Service(moved, unnamed, smallCatalogue{})
	assert.Equal(t, []string{refusal}, texts(errors), "an update of the licence names it")
}

func TestASpecThatStaysIsNotJudgedAgain(t *testing.T) {
	t.Parallel()
	broken := service(t, `replicas: -1`)
	labelled := broken.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	errors, warnings := validating.Service(labelled, broken, smallCatalogue{})
	assert.Empty(t, errors)
	assert.Empty(t, warnings)
}

func TestAServiceThatIsBeingDeletedIsNotJudged(t *testing.T) {
	t.Parallel()
	svc := service(t, `replicas: -1`)
	svc.DeletionTimestamp = &metav1.Time{}
	for _, old := range []*v1beta3.DataPowerService{nil, service(t, ``)} {
		errors, warnings := validating.Service(svc, old, smallCatalogue{})
		assert.Empty(t, errors)
		assert.Empty(t, warnings)
	}
	errors, _ := validating.Stored(svc, smallCatalogue{})
	assert.Empty(t, errors)
}

var warningTests = map[string]struct {
	spec string
	want []string
}{
	"a licence that nobody knows": {
		`license: {accept: true, use: production, license: L-ZZZZ-ZZZZZZ}
version: 10.5-lts`,
		[]string{`spec.license.license is not in the catalogue: check that it belongs to the version and the use`},
	},
	"a licence for another use": {
		`license: {accept: true, use: production, license: L-CCCC-CCCCCC}
version: 10.5-lts`,
		[]string{`spec.license.license is not for use production: it covers nonproduction, developers`},
	},
	"a stale licence": {
		`license: {accept: true, use: developers, license: L-CCCC-CCCCCC}
version: 10.6-lts`,
		[]string{`spec.license.license is stale: it does not belong to spec.version; accept one of L-AAAA-AAAAAA, L-BBBB-BBBBBB`},
	},
	"a version that nobody knows": {`version: 10.9.9.9sr2`, []string{`spec.version is not in the catalogue: it is used as it is`}},
	"a former name of a channel": {
		`{version: 10.6-eus, license: {accept: true, use: production, license: L-AAAA-AAAAAA}}`,
		[]string{`spec.version is a former name: the channel is called 10.6-lts today`},
	},
	"a former name of no channel":   {`version: 10.4-old`, []string{`spec.version is a former name: it stands for 10.4.0.1`}},
	"a group of a privileged user":  {`users: [{name: a, passwordSecret: s, accessLevel: privileged, group: g}]`, []string{`spec.users[0].group has no effect: the user is privileged`}},
	"the old field of a passphrase": {`domains: [{name: a, passphraseSecret: s}]`, []string{`spec.domains[0].passphraseSecret is deprecated: use settings.passphrase.secret, which does the same`}},
	"a variable that is overwritten": {
		`env: [{name: A, value: x}, {name: B}, {name: A, value: z}]`, []string{`spec.env[0] has no effect: a later variable has the same name`},
	},
	"timeouts of a watchdog that is off": {`healthCheck: {watchdog: {enabled: false, hardTimeoutSeconds: 20}}`, []string{`spec.healthCheck.watchdog has no effect: enabled is false`}},
	"a volume mode":                      {`storage: [{type: ephemeral, path: /a, volumeMode: Filesystem}]`, []string{`spec.storage[0].volumeMode is deprecated and ignored: the mode is always Filesystem`}},
	"claims of an ephemeral volume": {
		`storage: [{type: ephemeral, path: /a, class: c, selector: {}, deleteClaim: true}]`,
		[]string{
			`spec.storage[0].class has no effect: the type is ephemeral`, `spec.storage[0].selector has no effect: the type is ephemeral`,
			`spec.storage[0].deleteClaim has no effect: the type is ephemeral`,
		},
	},
	"claims of which some are deleted": {
		`storage: [{type: persistent, path: /a, size: 1Gi, deleteClaim: true}, {type: persistent, path: /b, size: 1Gi}]`,
		[]string{`spec.storage deletes no claim: a StatefulSet has one switch for all, and some entries keep theirs`},
	},
	"settings of other methods": {
		`podAutoScaling: {hpa: {maxReplicas: 2}, vpa: {}}`,
		[]string{`spec.podAutoScaling.hpa has no effect: method is not HPA`, `spec.podAutoScaling.vpa has no effect: method is not VPA`},
	},
	"a partition of automatic updates": {`updateStrategy: {mode: automatic, partition: 1}`, []string{`spec.updateStrategy.partition has no effect: mode is automatic`}},
	"a history of manual updates": {
		`updateStrategy: {mode: manual, partition: 1, rolloutHistoryLimit: 1}`, []string{`spec.updateStrategy.rolloutHistoryLimit has no effect: mode is manual`},
	},
	"md5 in FIPS mode": {
		`{cryptoMode: fips-140-3-l1, rbm: {passwordHashAlgorithm: md5}}`,
		[]string{`spec.rbm.passwordHashAlgorithm may keep users out: cryptoMode fips-140-3-l1 knows no md5`},
	},
	"an empty snmp": {`snmp: {}`, []string{`spec.snmp has no effect: it is empty`}},
	"an exporter that is off": {
		`snmp: {exporter: {enabled: false, port: 1}, generator: {config: c}}`,
		[]string{`spec.snmp.exporter.port has no effect: the exporter is not enabled`, `spec.snmp.generator has no effect: the exporter is not enabled`},
	},
	"a pull secret named twice": {`imagePullSecrets: [a, b, a]`, []string{`spec.imagePullSecrets[2] has no effect: an earlier entry has the same name`}},
	"a binding":                 {`createServiceBinding: automatic`, []string{`spec.createServiceBinding is ignored: this operator makes no DataPowerServiceBinding`}},
	"tracing": {
		`{jaegerTracing: {}, odTracing: {enabled: true, imageAgent: a, imageCollector: b, imagePullPolicy: c, odTracingDataHostname: d, odTracingRegistrationHostname: e}}`,
		[]string{
			`spec.odTracing is deprecated and ignored: the feature is gone from DataPower`,
			`spec.jaegerTracing is deprecated and ignored: the feature is gone from DataPower`,
		},
	},
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for name, test := range warningTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errors, warnings := validating.Service(service(t, test.spec), nil, smallCatalogue{})
			require.Empty(t, texts(errors))
			assert.Equal(t, test.want, warnings)
			for _, warning := range warnings {
				assert.LessOrEqual(t, len(warning), 120, "API servers cut long warnings")
			}
		})
	}
}

func TestEveryVersionOfTheChartsCatalogueIsAccepted(t *testing.T) {
	t.Parallel()
	c := loadCatalogue(t)
	for _, version := range append(c.Channels(), "10.0.0", "10.0.1", "10.0-eus", "10.6.0.1", "11.0.0.1sr1") {
		errors, _ := validating.Service(service(t, `version: "`+version+`"`), nil, c)
		assert.Empty(t, texts(errors), version)
	}
	_, warnings := validating.Service(service(t, `version: 10.0-eus
license: {accept: true, use: production, license: L-EYGU-PVGRBC}`), nil, c)
	assert.Equal(t, []string{"spec.version is a former name: the channel is called 10.0-lts today"}, warnings)
}
