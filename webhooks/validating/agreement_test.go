package validating_test

import (
	gocontext "context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"
	"sigs.k8s.io/randfill"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

const (
	servicesFile = "datapower.ibm.com_datapowerservices.yaml"
	monitorsFile = "datapower.ibm.com_datapowermonitors.yaml"
)

func context(t require.TestingT) gocontext.Context {
	if tb, ok := t.(testing.TB); ok {
		return tb.Context()
	}
	return gocontext.Background()
}

// TestTheSchemaAcceptsWhatValidationAccepts and refuses nothing that validation lets through, for the examples of every
// rule.
func TestTheSchemaAcceptsWhatValidationAccepts(t *testing.T) {
	t.Parallel()
	crd := loadDefinition(t, servicesFile, "v1beta3")
	for name, r := range rules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, crd.create(t, service(t, r.accepted)), "accepted")
			svc := service(t, r.refused)
			ours, _ := validating.Service(svc, nil, smallCatalogue{})
			requireAgreement(t, crd.create(t, svc), ours, svc)
		})
	}
}

// TestBoundsOfTheSchema are those that no example of a rule reaches.
func TestBoundsOfTheSchema(t *testing.T) {
	t.Parallel()
	crd := loadDefinition(t, servicesFile, "v1beta3")
	items := func(count int, format string) string {
		var out []string
		for i := range count {
			out = append(out, fmt.Sprintf(format, i))
		}
		return strings.Join(out, ", ")
	}
	long := strings.Repeat("a", 1025)
	for name, bound := range map[string]struct{ within, beyond string }{
		"users":        {`users: [` + items(1000, `{name: u%d, passwordSecret: s, accessLevel: privileged}`) + `]`, `users: [` + items(1001, `{name: u%d, passwordSecret: s, accessLevel: privileged}`) + `]`},
		"domains":      {`domains: [` + items(500, `{name: d%d}`) + `]`, `domains: [` + items(501, `{name: d%d}`) + `]`},
		"domain name":  {`domains: [{name: ` + long[:253] + `}]`, `domains: [{name: ` + long[:254] + `}]`},
		"certs":        {`domains: [{name: a, certs: [` + items(100, `{certType: usrcerts, secret: s%d}`) + `]}]`, `domains: [{name: a, certs: [` + items(101, `{certType: usrcerts, secret: s%d}`) + `]}]`},
		"sub-path":     {`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: ` + long[:128] + `}]}]`, `domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: ` + long[:129] + `}]}]`},
		"passwords":    {`domains: [{name: a, passwordMap: [` + items(100, `{alias: a%d, generate: true}`) + `]}]`, `domains: [{name: a, passwordMap: [` + items(101, `{alias: a%d, generate: true}`) + `]}]`},
		"alias":        {`domains: [{name: a, passwordMap: [{alias: ` + long[:128] + `, generate: true}]}]`, `domains: [{name: a, passwordMap: [{alias: ` + long[:129] + `, generate: true}]}]`},
		"passphrase":   {`domains: [{name: a, passphraseSecret: ` + long[:253] + `}]`, `domains: [{name: a, passphraseSecret: ` + long[:254] + `}]`},
		"group":        {`users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: ` + long[:253] + `}]`, `users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: ` + long[:254] + `}]`},
		"storage":      {`storage: [` + items(24, `{type: ephemeral, path: /%d}`) + `]`, `storage: [` + items(25, `{type: ephemeral, path: /%d}`) + `]`},
		"storage path": {`storage: [{type: ephemeral, path: /` + long[:1023] + `}]`, `storage: [{type: ephemeral, path: /` + long + `}]`},
		"class":        {`storage: [{type: persistent, size: 1, path: /a, class: ` + long[:253] + `}]`, `storage: [{type: persistent, size: 1, path: /a, class: ` + long[:254] + `}]`},
		"host aliases": {`hostAliases: [` + items(256, `{ip: 10.0.0.%d}`) + `]`, `hostAliases: [` + items(256, `{ip: 10.0.0.%d}`) + `, {ip: 10.1.0.0}]`},
		"annotations":  {`annotations: {` + items(1000, `a%d: b`) + `}`, `annotations: {` + items(1001, `a%d: b`) + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within, beyond := service(t, bound.within), service(t, bound.beyond)
			errors, _ := validating.Service(within, nil, smallCatalogue{})
			assert.Empty(t, texts(errors))
			assert.Empty(t, crd.create(t, within))
			errors, _ = validating.Service(beyond, nil, smallCatalogue{})
			assert.Len(t, errors, 1)
			assert.NotEmpty(t, crd.create(t, beyond))
		})
	}
}

// TestWhatTheSchemaRefusesIsRefused combines the examples of the rules, and updates one combination to another.
func TestWhatTheSchemaRefusesIsRefused(t *testing.T) {
	t.Parallel()
	crd := loadDefinition(t, servicesFile, "v1beta3")
	all := rules()
	names := slices.Sorted(maps.Keys(all))
	draw := func(r *rapid.T, label string) *v1beta3.DataPowerService {
		svc := service(t, ``)
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 4).Draw(r, label) {
			example := all[name].refused
			if rapid.Bool().Draw(r, "accepted") {
				example = all[name].accepted
			}
			fields := overlaid(t, ``, example)
			decode(t, fields, &svc.Spec)
		}
		svc.Name = rapid.SampledFrom([]string{"gw", "1gw", strings.Repeat("g", 60)}).Draw(r, "name")
		return svc
	}
	rapid.Check(t, func(r *rapid.T) {
		old, svc := draw(r, "old"), draw(r, "new")
		svc.Name = old.Name
		ours, _ := validating.Service(old, nil, smallCatalogue{})
		requireAgreement(r, crd.create(r, old), ours, old)
		ours, _ = validating.Service(svc, old, smallCatalogue{})
		requireAgreement(r, crd.update(r, svc, old), ours, []any{old, svc})
	})
}

// TestWhatTheSchemaRefusesOfRandomServicesIsRefused fills every field of every version.
func TestWhatTheSchemaRefusesOfRandomServicesIsRefused(t *testing.T) {
	t.Parallel()
	c := loadCatalogue(t)
	t.Run("v1beta1", func(t *testing.T) {
		t.Parallel()
		agreeOnRandom(t, "v1beta1", func(svc, old *v1beta1.DataPowerService) (field.ErrorList, []string) {
			return validating.ServiceV1beta1(svc, old, c)
		})
	})
	t.Run("v1beta2", func(t *testing.T) {
		t.Parallel()
		agreeOnRandom(t, "v1beta2", func(svc, old *v1beta2.DataPowerService) (field.ErrorList, []string) {
			return validating.ServiceV1beta2(svc, old, c)
		})
	})
	t.Run("v1beta3", func(t *testing.T) {
		t.Parallel()
		agreeOnRandom(t, "v1beta3", func(svc, old *v1beta3.DataPowerService) (field.ErrorList, []string) {
			return validating.Service(svc, old, c)
		})
	})
}

// agreeOnRandom creates random services of a version and updates them to others.
func agreeOnRandom[T any, P interface {
	*T
	metav1.Object
}](t *testing.T, version string, validate func(svc, old P) (field.ErrorList, []string)) {
	t.Helper()
	crd := loadDefinition(t, servicesFile, version)
	celRefused := 0
	for seed := range int64(400) {
		filler := newFiller(seed)
		old, svc := P(new(T)), P(new(T))
		filler.Fill(old)
		filler.Fill(svc)
		svc.SetName(old.GetName())
		ours, _ := validate(old, nil)
		refused := crd.create(t, old)
		requireAgreement(t, refused, ours, old)
		if len(refused) > 0 && !slices.ContainsFunc(refused, func(e *field.Error) bool { return e.Field == notChecked }) {
			celRefused++
		}
		if slices.ContainsFunc(refused, func(e *field.Error) bool { return e.Type == field.ErrorTypeDuplicate }) {
			continue // Which of two entries an update would be compared with is not defined.
		}
		ours, _ = validate(svc, old)
		requireAgreement(t, crd.update(t, svc, old), ours, []any{old, svc})
	}
	assert.Greater(t, celRefused, 50, "the CEL rules must have been reached")
}

func TestWhatTheSchemaRefusesOfMonitorsIsRefused(t *testing.T) {
	t.Parallel()
	crd := loadDefinition(t, monitorsFile, "v1beta2")
	times := []*int32{nil, new(int32(-1)), new(int32(0)), new(int32(999)), new(int32(1000)), new(int32(1 << 30))}
	for _, debounce := range times {
		for _, interval := range times {
			monitor := &v1beta2.DataPowerMonitor{Spec: v1beta2.DataPowerMonitorSpec{LifecycleDebounceMs: debounce, PeeringRecoveryCheckIntervalMs: interval}}
			monitor.Name = "gw"
			ours, _ := validating.Monitor(monitor, nil, false)
			schema := crd.create(t, monitor)
			requireAgreement(t, schema, ours, monitor)
			assert.Len(t, ours, len(schema))
		}
	}
	for _, port := range []*int32{nil, new(int32(0)), new(int32(1)), new(int32(65535)), new(int32(65536))} {
		for _, secret := range []string{"", "certificates"} {
			for _, insecure := range []*bool{nil, new(false), new(true)} {
				monitor := &v1beta2.DataPowerMonitor{Spec: v1beta2.DataPowerMonitorSpec{RestManagement: &v1beta2.RestManagement{
					Port: port, TLS: &v1beta2.GatewayTLS{SecretName: secret, ServerName: "gw.example.com", InsecureSkipVerify: insecure},
				}}}
				monitor.Name = "gw"
				ours, _ := validating.Monitor(monitor, nil, false)
				requireAgreement(t, crd.create(t, monitor), ours, monitor)
			}
		}
	}
}

// newFiller fills services with values on both sides of the rules. A tidy one keeps the plain rules of the schema most
// of the time, because the API server does not look at its CEL rules before those are kept.
func newFiller(seed int64) *randfill.Filler {
	p := pools{words: slices.Concat(plainWords, oddWords), numbers: []int64{-1, 0, 1, 3, 4, 19, 20, 21, 59, 60, 65535, 65536}, tidy: seed%2 == 0}
	if p.tidy {
		p.words, p.numbers = plainWords, []int64{60, 61, 62, 100}
	}
	return randfill.NewWithSeed(seed).NilChance(0.5).NumElements(0, 2).MaxDepth(30).Funcs(slices.Concat(p.plain(), p.structs())...)
}

type pools struct {
	words   []string
	numbers []int64
	tidy    bool
}

var (
	plainWords = []string{"a", "b", "c", "d", "e", "a.b", "f-g"}
	oddWords   = []string{
		"", "A", "a/b", "/a", "../a", "a:b", "..", "\"", "\n", "4Gi", "1Gi", "datapower.ibm.com/service", "datapower.ibm.com/a.reconciled",
		"10.0.0.1", strings.Repeat("a", 254),
	}
)

// one is one of the allowed values of a field, or now and then something else.
func (p pools) one(c randfill.Continue, allowed ...string) string {
	if !p.tidy && c.Intn(4) == 0 {
		return p.words[c.Intn(len(p.words))]
	}
	return allowed[c.Intn(len(allowed))]
}

func (p pools) plain() []any {
	return []any{
		func(s *string, c randfill.Continue) { *s = p.words[c.Intn(len(p.words))] },
		func(n *int32, c randfill.Continue) { *n = int32(p.numbers[c.Intn(len(p.numbers))]) },
		func(n *int64, c randfill.Continue) { *n = p.numbers[c.Intn(len(p.numbers))] },
		func(*metav1.TypeMeta, randfill.Continue) {},
		func(meta *metav1.ObjectMeta, c randfill.Continue) {
			*meta = metav1.ObjectMeta{Name: []string{"gw", "a.b", strings.Repeat("g", 53)}[c.Intn(3)]}
		},
		func(q *resource.Quantity, c randfill.Continue) {
			*q = resource.MustParse([]string{"1", "50m", "100m", "400m", "500m", "4", "1Gi", "2G", "2Gi", "8Gi", "-1"}[c.Intn(11)])
		},
		func(v *intstr.IntOrString, c randfill.Continue) { *v = intstr.FromInt32(int32(c.Intn(3)) * 40000) },
		func(v *runtime.RawExtension, _ randfill.Continue) { v.Raw = []byte(`{}`) },
		func(*v1beta1.DataPowerServiceStatus, randfill.Continue) {},
		func(*v1beta2.DataPowerServiceStatus, randfill.Continue) {},
		func(*v1beta3.DataPowerServiceStatus, randfill.Continue) {},
		func(v *v1beta3.StorageType, c randfill.Continue) {
			*v = v1beta3.StorageType(p.one(c, "persistent", "ephemeral"))
		},
		func(v *v1beta3.LicenseUse, c randfill.Continue) { *v = v1beta3.LicenseUse(p.one(c, "production")) },
		func(v *v1beta3.AccessLevel, c randfill.Continue) {
			*v = v1beta3.AccessLevel(p.one(c, "privileged", "group-defined"))
		},
		func(v *v1beta3.CertType, c randfill.Continue) {
			*v = v1beta3.CertType(p.one(c, "usrcerts", "sharedcerts"))
		},
		func(v *v1beta3.PodManagementPolicy, c randfill.Continue) {
			*v = v1beta3.PodManagementPolicy(p.one(c, "Parallel", "OrderedReady", ""))
		},
		func(v *corev1.PullPolicy, c randfill.Continue) {
			*v = corev1.PullPolicy(p.one(c, "Always", "Never", ""))
		},
	}
}

func (p pools) structs() []any {
	return []any{
		func(v *v1beta3.License, c randfill.Continue) {
			c.FillNoCustom(v)
			v.License = p.one(c, "L-EYGU-PVGRBC")
		},
		func(v *v1beta3.HealthCheck, c randfill.Continue) {
			c.FillNoCustom(v)
			v.LogLevel = p.one(c, "info", "")
		},
		func(v *v1beta3.PodAutoScaling, c randfill.Continue) {
			c.FillNoCustom(v)
			v.Method = p.one(c, "HPA", "VPA", "None", "")
		},
		func(v *v1beta3.UpdateStrategy, c randfill.Continue) {
			c.FillNoCustom(v)
			v.Mode = p.one(c, "manual", "automatic")
		},
		func(v *v1beta3.RBM, c randfill.Continue) { v.PasswordHashAlgorithm = p.one(c, "md5", "sha256", "") },
		func(v *v1beta3.JaegerTracing, c randfill.Continue) {
			c.FillNoCustom(v)
			v.AgentPullPolicy, v.PropagationFormat, v.SamplingType = p.one(c, "Always", ""), p.one(c, "w3c", ""), p.one(c, "const", "")
		},
		func(v *v1beta3.DataPowerServiceSpec, c randfill.Continue) {
			c.FillNoCustom(v)
			v.CryptoMode, v.CreateServiceBinding = p.one(c, "permissive", ""), p.one(c, "never", "")
			v.Version = p.one(c, "10.6-lts")
			p.keys(c, v.Labels, v.Annotations)
		},
		func(v *v1beta2.DataPowerServiceSpec, c randfill.Continue) {
			c.FillNoCustom(v)
			v.Version = p.one(c, "10.0-eus")
			p.keys(c, v.Labels, v.Annotations)
		},
		func(v *v1beta1.DataPowerServiceSpec, c randfill.Continue) {
			c.FillNoCustom(v)
			v.Version = p.one(c, "10.0.0")
			p.keys(c, v.Labels, v.Annotations)
		},
	}
}

// keys adds keys that are taken, now and then.
func (p pools) keys(c randfill.Continue, labels, annotations map[string]string) {
	if labels != nil && c.Intn(8) == 0 {
		labels["datapower.ibm.com/service"] = "a"
	}
	if annotations != nil && c.Intn(8) == 0 {
		annotations["datapower.ibm.com/a.reconciled"] = "a"
	}
}
