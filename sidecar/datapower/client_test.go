package datapower

import (
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"
)

const links = `"_links":{"self":{"href":"/mgmt/status/apiconnect/GatewayPeeringStatus"},` +
	`"doc":{"href":"/mgmt/docs/status/GatewayPeeringStatus"}}`

var (
	primary = PeeringStatus{
		Address: "172.30.131.201", Name: "rate-limit", ReplicationOffset: 170111082, LinkStatus: "ok", Primary: true,
	}
	dead = PeeringStatus{Address: "172.16.52.28", Name: "gwd", PendingUpdates: 2, ReplicationOffset: 100, LinkStatus: "down"}
)

var statusTests = []struct {
	name   string
	answer string
	want   []PeeringStatus
}{
	{
		"an array of one row, as a public test recorded it",
		`{` + links + `,"GatewayPeeringStatus":[{"Address":"172.30.131.201","Name":"rate-limit","PendingUpdates":0,` +
			`"ReplicationOffset":170111082,"LinkStatus":"ok","Primary":"yes"}]}`,
		[]PeeringStatus{primary},
	},
	{
		"a single row is an object",
		`{` + links + `,"GatewayPeeringStatus":{"Address":"172.30.131.201","Name":"rate-limit","PendingUpdates":0,` +
			`"ReplicationOffset":170111082,"LinkStatus":"ok","Primary":"yes"}}`,
		[]PeeringStatus{primary},
	},
	{
		"no row is a missing key and a result",
		`{` + links + `,"result":"No status retrieved."}`,
		[]PeeringStatus{},
	},
	{
		"the documented row of a dead member, in an array with a live one",
		`{"GatewayPeeringStatus":[` +
			`{"Address":"172.16.52.28","Name":"gwd","PendingUpdates":2,"ReplicationOffset":100,"LinkStatus":"down","Primary":"no"},` +
			`{"Address":"172.30.131.201","Name":"rate-limit","PendingUpdates":0,"ReplicationOffset":170111082,"LinkStatus":"ok","Primary":"yes"}]}`,
		[]PeeringStatus{dead, primary},
	},
	{
		"numbers may be strings",
		`{"GatewayPeeringStatus":{"Address":"172.16.52.28","Name":"gwd","PendingUpdates":"2","ReplicationOffset":" 100 ",` +
			`"LinkStatus":"down","Primary":"no"}}`,
		[]PeeringStatus{dead},
	},
	{
		"the offset has 64 bits",
		`{"GatewayPeeringStatus":{"Address":"a","Name":"b","ReplicationOffset":18446744073709551615}}`,
		[]PeeringStatus{{Address: "a", Name: "b", ReplicationOffset: 18446744073709551615}},
	},
	{
		"newer firmware tells ports and priority",
		`{"GatewayPeeringStatus":{"Address":"a","Name":"b","ServicePort":16380,"MonitorPort":"26380","Priority":0}}`,
		[]PeeringStatus{{
			Address: "a", Name: "b", ServicePort: ptr.To[uint16](16380), MonitorPort: ptr.To[uint16](26380), Priority: ptr.To[uint64](0),
		}},
	},
	{
		"texts are XML-escaped",
		`{"GatewayPeeringStatus":{"Address":"a","Name":"r&amp;d &lt;1&gt;"}}`,
		[]PeeringStatus{{Address: "a", Name: "r&d <1>"}},
	},
	{
		"an unknown field and an unknown key are no errors",
		`{"x":[1,{"y":null}],"GatewayPeeringStatus":{"Address":"a","Name":"b","Novelty":{"z":[]}}}`,
		[]PeeringStatus{{Address: "a", Name: "b"}},
	},
}

func TestPeeringStatus(t *testing.T) {
	for _, test := range statusTests {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, answer(http.StatusOK, test.answer))
			status, err := client.PeeringStatus(t.Context(), "apiconnect")
			require.NoError(t, err)
			assert.Equal(t, test.want, status)
		})
	}
}

func TestMalformedPeeringStatus(t *testing.T) {
	tests := []struct{ name, answer string }{
		{"nothing", ``},
		{"HTML", `<html>hello</html>`},
		{"an array", `[]`},
		{"broken off", `{"GatewayPeeringStatus":[{"Address":"a"`},
		{"something after the object", `{"result":"No status retrieved."} {}`},
		{"neither rows nor result", `{"_links":{}}`},
		{"another spelling of the key", `{"gatewaypeeringstatus":[]}`},
		{"a text in place of rows", `{"GatewayPeeringStatus":"none"}`},
		{"a row that is no object", `{"GatewayPeeringStatus":[1]}`},
		{"a row without address", `{"GatewayPeeringStatus":{"Name":"gwd"}}`},
		{"a row without name", `{"GatewayPeeringStatus":{"Address":"172.16.52.28"}}`},
		{"a negative number", `{"GatewayPeeringStatus":{"Address":"a","Name":"b","PendingUpdates":-1}}`},
		{"a number with a fraction", `{"GatewayPeeringStatus":{"Address":"a","Name":"b","PendingUpdates":1.5}}`},
		{"a port above 65535", `{"GatewayPeeringStatus":{"Address":"a","Name":"b","ServicePort":65536}}`},
		{"primary is neither yes nor no", `{"GatewayPeeringStatus":{"Address":"a","Name":"b","Primary":"perhaps"}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, answer(http.StatusOK, test.answer))
			_, err := client.PeeringStatus(t.Context(), "default")
			require.ErrorIs(t, err, ErrMalformed)
		})
	}
}

func TestUpKnowsTheLinkStatus(t *testing.T) {
	assert.True(t, PeeringStatus{LinkStatus: "ok"}.Up())
	assert.False(t, PeeringStatus{LinkStatus: "down"}.Up())
	assert.False(t, PeeringStatus{}.Up(), "an unknown status is not up")
}

func TestGatewayPeerings(t *testing.T) {
	tests := []struct {
		name   string
		answer string
		want   []GatewayPeering
	}{
		{
			"two objects with references, switches and the operational state",
			`{"GatewayPeering":[{"name":"gwd","mAdminState":"enabled","state":{"opstate":"up","adminstate":"enabled"},` +
				`"LocalAddress":"10.1.1.1","LocalPort":16380,"MonitorPort":26380,"EnablePeerGroup":"on",` +
				`"PeerGroup":{"value":"members","href":"/mgmt/config/apiconnect/GatewayPeeringGroup/members"},"Priority":100},` +
				`{"name":"probe","mAdminState":"disabled","state":{"opstate":"down"},"EnablePeerGroup":"off","Priority":"1"}]}`,
			[]GatewayPeering{
				{
					Domain: "apiconnect", Name: "gwd", AdminState: Enabled, OpState: "up", LocalAddress: "10.1.1.1", LocalPort: 16380,
					MonitorPort: 26380, EnablePeerGroup: true, PeerGroup: "members", Priority: 100,
				},
				{Domain: "apiconnect", Name: "probe", AdminState: Disabled, OpState: "down", Priority: 1},
			},
		},
		{
			"a single object with peers; the peer group is on when nothing is said",
			`{"GatewayPeering":{"name":"gwd","mAdminState":"enabled","Peers":["10.1.1.2","gw-1.gw-headless"]}}`,
			[]GatewayPeering{{
				Domain: "apiconnect", Name: "gwd", AdminState: Enabled, EnablePeerGroup: true, Peers: []string{"10.1.1.2", "gw-1.gw-headless"},
			}},
		},
		{
			"a single peer that is no array, and a state of unknown form",
			`{"GatewayPeering":{"name":"gwd","mAdminState":"enabled","Peers":"10.1.1.2","state":"up"}}`,
			[]GatewayPeering{{
				Domain: "apiconnect", Name: "gwd", AdminState: Enabled, EnablePeerGroup: true, Peers: []string{"10.1.1.2"},
			}},
		},
		{"none", `{"_links":{},"result":"No configuration retrieved."}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/mgmt/config/apiconnect/GatewayPeering?state=1", r.URL.RequestURI())
				answer(http.StatusOK, test.answer)(w, r)
			})
			peerings, err := client.GatewayPeerings(t.Context(), "apiconnect")
			require.NoError(t, err)
			assert.Equal(t, test.want, peerings)
		})
	}
}

func TestDomains(t *testing.T) {
	tests := []struct {
		name   string
		answer string
		want   []string
	}{
		{
			"several",
			`{"_links":{"self":{"href":"/mgmt/domains/config/"}},"domain":[{"name":"default","href":"/mgmt/config/default/Domain/default"},` +
				`{"name":"api_Connect","href":"/mgmt/config/default/Domain/api_Connect"}]}`,
			[]string{"default", "api_Connect"},
		},
		{"a single one is an object", `{"domain":{"name":"default","href":"/mgmt/config/default/Domain/default"}}`, []string{"default"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, answer(http.StatusOK, test.answer))
			domains, err := client.Domains(t.Context())
			require.NoError(t, err)
			assert.Equal(t, test.want, domains)
		})
	}
}

func TestFirmwareVersion(t *testing.T) {
	client := connect(t, answer(http.StatusOK, `{"FirmwareVersion3":{"Serial":"0000000","Version":"IDG.10.6.0.1","Build":341099,`+
		`"BuildDate":"2024/06/20 11:42:12"}}`))
	firmware, err := client.FirmwareVersion(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Firmware{Version: "IDG.10.6.0.1", Build: "341099", BuildDate: "2024/06/20 11:42:12"}, firmware)

	client = connect(t, answer(http.StatusOK, `{"result":"No status retrieved."}`))
	_, err = client.FirmwareVersion(t.Context())
	require.ErrorIs(t, err, ErrMalformed)
}

func TestRequestsAreThoseOfTheDocuments(t *testing.T) {
	type sent struct{ method, uri, body string }
	var got sent
	client := connect(t, func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		assert.Equal(t, user, name)
		assert.Equal(t, password, secret)
		body := make([]byte, 100)
		n, _ := r.Body.Read(body)
		got = sent{r.Method, r.URL.RequestURI(), string(body[:n])}
		answer(http.StatusOK, `{"result":"No status retrieved."}`)(w, r)
	})
	_, err := client.PeeringStatus(t.Context(), "my domain/1")
	require.NoError(t, err)
	assert.Equal(t, sent{"GET", "/mgmt/status/my%20domain%2F1/GatewayPeeringStatus", ""}, got)

	require.NoError(t, client.SetAdminState(t.Context(), "apiconnect", "rate-limit", Disabled))
	assert.Equal(t, sent{"PUT", "/mgmt/config/apiconnect/GatewayPeering/rate-limit/mAdminState", `{"mAdminState":"disabled"}`}, got)
}

func TestNamesThatWouldMakeAnotherResourceAreRefused(t *testing.T) {
	client := connect(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing must be sent") })
	for _, name := range []string{"", ".", ".."} {
		_, err := client.PeeringStatus(t.Context(), name)
		require.ErrorIs(t, err, ErrOptions, name)
	}
	require.ErrorIs(t, client.SetAdminState(t.Context(), "default", "gwd", "paused"), ErrOptions)
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*Options)
		wantErr bool
	}{
		{"host and port", func(o *Options) { o.Address = "10.0.0.1:5554" }, false},
		{"IPv6", func(o *Options) { o.Address = "[fd00::1]:5554" }, false},
		{"a URL", func(o *Options) { o.Address = "https://gw.example:5554/" }, false},
		{"no port", func(o *Options) { o.Address = "10.0.0.1" }, true},
		{"no host", func(o *Options) { o.Address = ":5554" }, true},
		{"no TLS", func(o *Options) { o.Address = "http://10.0.0.1:5554" }, true},
		{"a path", func(o *Options) { o.Address = "https://10.0.0.1:5554/mgmt" }, true},
		{"credentials in the address", func(o *Options) { o.Address = "https://admin:" + password + "@10.0.0.1:5554" }, true},
		{"credentials in a broken address", func(o *Options) { o.Address = "https://admin:" + password + "@[10.0.0.1:5554" }, true},
		{"no user name", func(o *Options) { o.Username = "" }, true},
		{"no password", func(o *Options) { o.Password = "" }, true},
		{"two ways to trust", func(o *Options) {
			o.TLS = TLSOptions{InsecureSkipVerify: true, Pinned: []*x509.Certificate{selfSigned(t).Leaf}}
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			options := Options{Address: "10.0.0.1:5554", Username: user, Password: password}
			test.change(&options)
			_, err := New(options)
			if test.wantErr {
				require.ErrorIs(t, err, ErrOptions)
			} else {
				require.NoError(t, err)
			}
			requireNoSecret(t, err)
		})
	}
}
