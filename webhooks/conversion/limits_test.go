package conversion_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// limit is what Kubernetes allows for all annotations of an object, keys and values together.
const limit = 256 * 1024

// withAnnotation is a service of the hub whose cryptoMode waits for its way back, and an annotation of so many bytes.
func withAnnotation(t *testing.T, size int) []byte {
	t.Helper()
	in := object(t, service(t, "v1beta3", `{metadata: {name: gw, namespace: ns, annotations: {}}, spec: {cryptoMode: permissive}}`))
	annotationsOf(in)["k"] = strings.Repeat("x", size-len("k"))
	return []byte(text(t, in))
}

func TestConversionDataFillsTheAnnotationsToTheLastByte(t *testing.T) {
	t.Parallel()
	parked := len(conversion.DataAnnotation) + len(`{"v1beta3":[{"path":["spec","cryptoMode"],"value":"permissive"}]}`)
	converted := convert(t, withAnnotation(t, limit-parked), "v1beta2")
	size := 0
	for key, value := range annotationsOf(converted) {
		size += len(key) + len(value.(string))
	}
	assert.Equal(t, limit, size)

	_, err := conversion.ConvertObject(withAnnotation(t, limit-parked+1), apiVersion("v1beta2"))
	require.ErrorIs(t, err, conversion.ErrTooLarge)
	assert.EqualError(t, err, "DataPowerService ns/gw: conversion data does not fit into the annotations: they would take "+
		"262145 bytes of at most 262144; read and write the object as datapower.ibm.com/v1beta3, which loses nothing, or "+
		"make its annotations smaller")
}

func TestAStatusThatDoesNotFitIsLeftOutBecauseTheOperatorWritesItAnew(t *testing.T) {
	t.Parallel()
	in := object(t, service(t, "v1beta3", `{spec: {cryptoMode: permissive}, status: {phase: Running, labelSelector: x}}`))
	in["status"].(map[string]any)["labelSelector"] = strings.Repeat("x", limit)
	there, err := conversion.ConvertObject([]byte(text(t, in)), apiVersion("v1beta1"))
	require.NoError(t, err)
	back := convert(t, there, "v1beta3")
	assert.Equal(t, map[string]any{"cryptoMode": "permissive"}, back["spec"])
	assert.Equal(t, map[string]any{"phase": "Running"}, back["status"])
}

func TestALargeSpecThatTheOtherVersionHoldsNeedsNoAnnotation(t *testing.T) {
	t.Parallel()
	in := object(t, service(t, "v1beta3", `{spec: {initCmds: [x]}}`))
	in["spec"].(map[string]any)["initCmds"] = []string{strings.Repeat("x", 2*limit)}
	assert.Empty(t, annotationsOf(convert(t, []byte(text(t, in)), "v1beta1")))
}

func TestMonitorSettingsThatDoNotFitAreAnError(t *testing.T) {
	t.Parallel()
	in := object(t, service(t, "v1beta1", `{spec: {datapowerMonitor: {image: x}}}`))
	in["spec"].(map[string]any)["datapowerMonitor"].(map[string]any)["image"] = strings.Repeat("x", limit)
	_, err := conversion.ConvertObject([]byte(text(t, in)), apiVersion("v1beta3"))
	require.ErrorIs(t, err, conversion.ErrTooLarge)
	assert.Contains(t, err.Error(), "read and write the object as datapower.ibm.com/v1beta1")
}

func TestWhatCannotBeConvertedIsRefused(t *testing.T) {
	t.Parallel()
	v3, kind := `"apiVersion":"datapower.ibm.com/v1beta3",`, `"kind":"DataPowerService"`
	tests := map[string]struct {
		in, to string
		want   error
	}{
		"no JSON":                            {`{"secret"`, "datapower.ibm.com/v1beta2", conversion.ErrMalformed},
		"a list":                             {`[]`, "datapower.ibm.com/v1beta2", conversion.ErrMalformed},
		"null":                               {`null`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownKind},
		"an unknown desired version":         {`{` + v3 + kind + `}`, "datapower.ibm.com/v1", conversion.ErrUnknownVersion},
		"another group":                      {`{` + v3 + kind + `}`, "apps/v1beta2", conversion.ErrUnknownVersion},
		"no desired version":                 {`{` + v3 + kind + `}`, "", conversion.ErrUnknownVersion},
		"an unknown version":                 {`{"apiVersion":"datapower.ibm.com/v1",` + kind + `}`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownVersion},
		"an apiVersion that is none":         {`{"apiVersion":"a/b/c",` + kind + `}`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownVersion},
		"no version":                         {`{` + kind + `}`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownVersion},
		"another kind":                       {`{` + v3 + `"kind":"DataPowerMonitor"}`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownKind},
		"metadata that is no object":         {`{` + v3 + kind + `,"metadata":[]}`, "datapower.ibm.com/v1beta2", conversion.ErrMalformed},
		"annotations that are no map":        {`{` + v3 + kind + `,"metadata":{"annotations":[]}}`, "datapower.ibm.com/v1beta2", conversion.ErrMalformed},
		"a list of an unknown version":       {`{"apiVersion":"v1","kind":"DataPowerServiceList","items":[]}`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownVersion},
		"a list whose items are no list":     {`{` + v3 + `"kind":"DataPowerServiceList","items":{}}`, "datapower.ibm.com/v1beta2", conversion.ErrMalformed},
		"a list with an item of another API": {`{` + v3 + `"kind":"DataPowerServiceList","items":[{` + v3 + `"kind":"X"}]}`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownKind},
		"a list with a scalar":               {`{` + v3 + `"kind":"DataPowerServiceList","items":[1]}`, "datapower.ibm.com/v1beta2", conversion.ErrMalformed},
		"a list with an unknown version":     {`{` + v3 + `"kind":"DataPowerServiceList","items":[{"apiVersion":"x",` + kind + `}]}`, "datapower.ibm.com/v1beta2", conversion.ErrUnknownVersion},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := conversion.ConvertObject([]byte(test.in), test.to)
			require.ErrorIs(t, err, test.want)
			assert.Nil(t, out)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestListsConvertItemByItem(t *testing.T) {
	t.Parallel()
	list := `{"apiVersion":"datapower.ibm.com/v1beta2","kind":"DataPowerServiceList","metadata":{"resourceVersion":"7"},"items":[
		{"apiVersion":"datapower.ibm.com/v1beta1","kind":"DataPowerService","metadata":{"name":"a"},"spec":{"version":"10.0.0"}},
		{"apiVersion":"datapower.ibm.com/v1beta3","kind":"DataPowerService","metadata":{"name":"b"},"spec":{"version":"10.6-lts"}},
		{"metadata":{"name":"c"},"spec":{"version":"10.0-eus"}}]}`
	out := convert(t, []byte(list), "v1beta3")
	assert.Equal(t, map[string]any{"resourceVersion": "7"}, out["metadata"])
	assert.Equal(t, "datapower.ibm.com/v1beta3", out["apiVersion"])
	var got []any
	for _, item := range out["items"].([]any) {
		o := item.(map[string]any)
		assert.Equal(t, "datapower.ibm.com/v1beta3", o["apiVersion"])
		got = append(got, o["spec"].(map[string]any)["version"])
	}
	assert.Equal(t, []any{"10.0-cd", "10.6-lts", "10.0-lts"}, got)
}

func TestAListWithoutItemsConverts(t *testing.T) {
	t.Parallel()
	out := convert(t, []byte(`{"apiVersion":"datapower.ibm.com/v1beta1","kind":"DataPowerServiceList","items":null}`), "v1beta3")
	assert.Equal(t, map[string]any{"apiVersion": "datapower.ibm.com/v1beta3", "kind": "DataPowerServiceList", "items": nil}, out)
}

func TestMetadataOtherThanAnnotationsStays(t *testing.T) {
	t.Parallel()
	metadata := `{name: gw, namespace: ns, uid: u, resourceVersion: "7", generation: 3, labels: {a: b}, annotations: {c: d},
		finalizers: [f], managedFields: [{manager: m, apiVersion: datapower.ibm.com/v1beta1, fieldsV1: {"f:spec": {}}}]}`
	for _, version := range []string{"v1beta2", "v1beta3"} {
		in := service(t, "v1beta1", `{metadata: `+metadata+`}`)
		assert.Equal(t, object(t, in)["metadata"], convert(t, in, version)["metadata"])
	}
}

// TestDamagedConversionDataIsNoReasonToFail keeps objects readable whatever users write into the annotation.
func TestDamagedConversionDataIsNoReasonToFail(t *testing.T) {
	t.Parallel()
	for _, damaged := range []string{
		`no JSON`, `null`, `[]`, `{"v1beta3":{}}`, `{"v1beta3":[{}]}`, `{"v1beta3":[{"path":[]}]}`, `{"v1beta3":[{"path":[1]}]}`,
		`{"v1beta3":[{"path":[{"name":"a"}]}]}`, `{"v1beta3":[{"path":[{}]}]}`, `{"v1beta3":[{"path":["spec",{"a":"b","c":"d"},"e"]}]}`,
		`{"v1beta3":[{"path":["spec","domains",{"name":"zz"},"settings"],"value":{}}]}`,
		`{"v1beta3":[{"path":["spec","version","x"],"value":{}}]}`,
	} {
		in := object(t, service(t, "v1beta1", `{metadata: {annotations: {}}, spec: {version: "1", domains: [{name: a}]}}`))
		annotationsOf(in)[conversion.DataAnnotation] = damaged
		out := convert(t, []byte(text(t, in)), "v1beta3")
		assert.Equal(t, in["spec"], out["spec"], damaged)
		assert.NotContains(t, annotationsOf(out), conversion.DataAnnotation, damaged)
	}
}

// TestNobodyCanBreakTheHubThroughTheAnnotation: one object that does not decode would stop every typed list.
func TestNobodyCanBreakTheHubThroughTheAnnotation(t *testing.T) {
	t.Parallel()
	in := object(t, service(t, "v1beta1", `{metadata: {annotations: {}}, spec: {replicas: 1}}`))
	annotationsOf(in)[conversion.DataAnnotation] = `{"v1beta3":[
		{"path":["spec","replicas"],"shown":1,"value":"many"},
		{"path":["spec","cryptoMode"],"value":7},
		{"path":["metadata","name"],"value":"x"},
		{"path":["status"],"value":"x"}]}`
	raw, err := conversion.ConvertObject([]byte(text(t, in)), apiVersion("v1beta3"))
	require.NoError(t, err)
	requireDecodes(t, raw, "v1beta3")
	assert.NotContains(t, object(t, raw)["metadata"], "name")
}

func TestMonitorSpecReadsTheParkedSettings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		annotation string
		want       v1beta2.DataPowerMonitorSpec
	}{
		"the settings of sample 12": {
			`{"image":"x","lifecycleDebounceMs":10000,"peeringRecoveryCheckIntervalMs":1000,"monitorGatewayPeering":false}`,
			v1beta2.DataPowerMonitorSpec{
				LifecycleDebounceMs: new(int32(10000)), PeeringRecoveryCheckIntervalMs: new(int32(1000)), MonitorGatewayPeering: new(false),
			},
		},
		"times below what a DataPowerMonitor accepts become a second": {
			`{"lifecycleDebounceMs":5,"peeringRecoveryCheckIntervalMs":-1,"monitorGatewayPeering":true}`,
			v1beta2.DataPowerMonitorSpec{
				LifecycleDebounceMs: new(int32(1000)), PeeringRecoveryCheckIntervalMs: new(int32(1000)), MonitorGatewayPeering: new(true),
			},
		},
		"no settings are those of the API": {`{}`, v1beta2.DataPowerMonitorSpec{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meta := &metav1.ObjectMeta{Annotations: map[string]string{datapower.MonitorSettingsAnnotation: test.annotation}}
			spec, found, err := conversion.MonitorSpec(meta)
			require.NoError(t, err)
			assert.True(t, found)
			assert.Equal(t, test.want, spec)
		})
	}
}

func TestMonitorSpecOfAServiceWithoutSettings(t *testing.T) {
	t.Parallel()
	spec, found, err := conversion.MonitorSpec(&metav1.ObjectMeta{})
	require.NoError(t, err)
	assert.False(t, found)
	assert.Equal(t, v1beta2.DataPowerMonitorSpec{}, spec)
}

func TestMonitorSpecOfDamagedSettingsShowsNoValue(t *testing.T) {
	t.Parallel()
	meta := &metav1.ObjectMeta{Annotations: map[string]string{datapower.MonitorSettingsAnnotation: `{"env":"hunter2"}`}}
	_, found, err := conversion.MonitorSpec(meta)
	require.ErrorIs(t, err, conversion.ErrMonitorSettings)
	assert.False(t, found)
	assert.NotContains(t, err.Error(), "hunter2")
}

// FuzzConvertObject looks for JSON that makes a conversion panic, change what it returned before, or return what an
// API server would refuse.
func FuzzConvertObject(f *testing.F) {
	data := `{metadata: {annotations: {` + conversion.DataAnnotation + `: '{"v1beta3":[{"path":["spec","rbm"],"value":{}}]}'}}}`
	spec := `{spec: {version: 10.0.0, domains: [{name: a}], storage: [{path: /a, volumeMode: Block}], datapowerMonitor: {image: a}}}`
	for _, version := range versions {
		f.Add(service(f, version, data), "v1beta2", "v1beta3")
		f.Add(service(f, version, spec), "v1beta3", "v1beta1")
		f.Add(service(f, version, `{status: {nodes: [a], pods: [b], conditions: [{type: Error}]}}`), "v1beta1", "v1beta2")
	}
	f.Add([]byte(`{"apiVersion":"datapower.ibm.com/v1beta1","kind":"DataPowerServiceList","items":[{}]}`), "v1beta2", "v1")
	f.Fuzz(func(t *testing.T, raw []byte, first, second string) {
		converted, err := conversion.ConvertObject(raw, apiVersion(first))
		if err != nil {
			require.Nil(t, converted)
			return
		}
		again, err := conversion.ConvertObject(raw, apiVersion(first))
		require.NoError(t, err)
		require.Equal(t, converted, again, "a conversion is a pure function")
		require.True(t, json.Valid(converted))
		require.Equal(t, apiVersion(first), object(t, converted)["apiVersion"])
		if _, err := conversion.ConvertObject(converted, apiVersion(second)); err != nil {
			require.NotErrorIs(t, err, conversion.ErrMalformed)
		}
	})
}

func TestWaitsTellsWhatAVersionCannotShow(t *testing.T) {
	t.Parallel()
	shown := convert(t, service(t, "v1beta3", `{spec: {resources: {limits: {cpu: 1}}, domains: [{name: a, settings: {}}]}}`), "v1beta2")
	annotation, _ := annotationsOf(shown)[conversion.DataAnnotation].(string)
	for path, want := range map[string]bool{
		"spec": true, "spec.resources": true, "spec.resources.limits.cpu": true, "spec.domains": true,
		"spec.resources.limits.cpu.x": false, "spec.resources.requests": false, "spec.users": false, "status": false,
	} {
		assert.Equal(t, want, conversion.Waits(annotation, strings.Split(path, ".")...), path)
	}
	assert.False(t, conversion.Waits("", "spec"))
}
