package gateway

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const twoPeerings = onePeering + `gateway-peering "tms"
  summary "tokens & more"
  local-port 16381
  monitor-port 26381
  priority 7
  peer-group "members"
  max-memory 100
  persistence memory
exit
gateway-peering-group "members"
  peer 10.0.0.9
exit
`

var resourceTests = []struct {
	name    string
	address string
	request string
	status  int
	path    []any
	want    any
}{
	{"the root links to the resources", "10.0.0.1", "GET /mgmt/", 200, []any{"_links", "domains", "href"}, "/mgmt/domains/config/"},
	{"domains", "10.0.0.1", "GET /mgmt/domains/config/", 200, []any{"domain", 1, "name"}, "apiconnect"},
	{"a single row of status is an object", "10.0.0.2", "GET /mgmt/status/apiconnect/GatewayPeeringStatus", 200, []any{"GatewayPeeringStatus", "Address"}, "10.0.0.2"},
	{"several are an array", "10.0.0.1", "GET /mgmt/status/apiconnect/GatewayPeeringStatus", 200, []any{"GatewayPeeringStatus", 0, "Name"}, "gwd"},
	{"none are a text", "10.0.0.3", "GET /mgmt/status/apiconnect/GatewayPeeringStatus", 200, []any{"result"}, "No status retrieved."},
	{"none of a domain without peerings", "10.0.0.1", "GET /mgmt/status/default/GatewayPeeringStatus", 200, []any{"result"}, "No status retrieved."},
	{"status links to its documentation", "10.0.0.1", "GET /mgmt/status/default/FirmwareVersion3", 200, []any{"_links", "doc", "href"}, "/mgmt/docs/status/FirmwareVersion3"},
	{"the firmware", "10.0.0.1", "GET /mgmt/status/default/FirmwareVersion3", 200, []any{"FirmwareVersion3", "Version"}, "IDG.10.6.0.1"},
	{"classes of status", "10.0.0.1", "GET /mgmt/status/", 200, []any{"_links", "GatewayPeeringStatus", "href"}, "/mgmt/status/{domain}/GatewayPeeringStatus"},
	{"an unknown class of status", "10.0.0.1", "GET /mgmt/status/default/Weather", 404, []any{"error", 0}, "Resource not found."},
	{"an unknown domain", "10.0.0.1", "GET /mgmt/status/nowhere/GatewayPeeringStatus", 404, []any{"error", 0}, "Resource not found."},
	{"an unknown resource", "10.0.0.1", "GET /mgmt/weather", 404, []any{"error", 0}, "Resource not found."},
	{"nothing to write in status", "10.0.0.1", "PUT /mgmt/status/default/FirmwareVersion3", 405, []any{"error", 0}, "Method not allowed."},
	{"status of objects", "10.0.0.1", "GET /mgmt/status/apiconnect/ObjectStatus", 200, []any{"ObjectStatus", 1, "OpState"}, "up"},
	{"status of domains", "10.0.0.1", "GET /mgmt/status/default/DomainStatus", 200, []any{"DomainStatus", 1, "SaveNeeded"}, "off"},

	{"all objects of a class", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering", 200, []any{"GatewayPeering", 1, "name"}, "tms"},
	{"a single object is an object", "10.0.0.2", "GET /mgmt/config/apiconnect/GatewayPeering", 200, []any{"GatewayPeering", "mAdminState"}, "enabled"},
	{"no object is a text", "10.0.0.3", "GET /mgmt/config/apiconnect/GatewayPeering", 200, []any{"result"}, "No configuration retrieved."},
	{"an object by name", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms", 200, []any{"GatewayPeering", "LocalPort"}, 16381.0},
	{"a switch", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms", 200, []any{"GatewayPeering", "EnablePeerGroup"}, "on"},
	{"a reference", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms", 200, []any{"GatewayPeering", "PeerGroup", "value"}, "members"},
	{"a setting that is only shown", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms", 200, []any{"GatewayPeering", "PersistenceLocation"}, "memory"},
	{"a field", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms/Priority", 200, []any{"Priority"}, 7.0},
	{"no such field", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms/Colour", 404, []any{"error", 0}, "Resource not found."},
	{"no such object", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/none", 404, []any{"error", 0}, "Resource not found."},
	{"the state only when asked for", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms", 200, []any{"GatewayPeering", "state"}, nil},
	{"the state", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeering/tms?state=1", 200, []any{"GatewayPeering", "state", "opstate"}, "up"},
	{"users without their hashes", "10.0.0.1", "GET /mgmt/config/default/User/admin", 200, []any{"User", "AccessLevel"}, "privileged"},
	{"groups of peers", "10.0.0.1", "GET /mgmt/config/apiconnect/GatewayPeeringGroup", 200, []any{"GatewayPeeringGroup", "Mode"}, "peer"},
	{"the interface itself", "10.0.0.1", "GET /mgmt/config/default/RestMgmtInterface", 200, []any{"RestMgmtInterface", "LocalPort"}, 5554.0},
	{"domains as objects", "10.0.0.1", "GET /mgmt/config/default/Domain/apiconnect", 200, []any{"Domain", "mAdminState"}, "enabled"},

	{"the action queue", "10.0.0.1", "GET /mgmt/actionqueue/", 200, []any{"_links", "operations", "href"}, "/mgmt/actionqueue/{domain}/operations"},
	{"offered actions", "10.0.0.1", "GET /mgmt/actionqueue/apiconnect/operations", 200, []any{"_links", "GatewayPeeringReset", "schema", "href"}, "/mgmt/actionqueue/{domain}/operations/GatewayPeeringReset"},
	{"an action's schema", "10.0.0.1", "GET /mgmt/actionqueue/apiconnect/operations/SaveConfig", 200, []any{"schema", "name"}, "SaveConfig"},
	{"an unknown action's schema", "10.0.0.1", "GET /mgmt/actionqueue/apiconnect/operations/Dance", 404, []any{"error", 0}, "Resource not found."},
	{"nothing pending", "10.0.0.1", "GET /mgmt/actionqueue/apiconnect/pending", 200, []any{"result"}, "No status retrieved."},

	{"the file store", "10.0.0.1", "GET /mgmt/filestore/apiconnect", 200, []any{"filestore", "location", 0, "name"}, "local:"},
	{"a directory with a directory", "10.0.0.1", "GET /mgmt/filestore/apiconnect/local", 200, []any{"filestore", "location", "directory", "name"}, "local:/sub"},
	{"a directory with a file", "10.0.0.1", "GET /mgmt/filestore/apiconnect/local/sub", 200, []any{"filestore", "location", "file", "size"}, 5.0},
	{"a file", "10.0.0.1", "GET /mgmt/filestore/apiconnect/local/sub/hello.txt", 200, []any{"file"}, "aGVsbG8="},
	{"no such file", "10.0.0.1", "GET /mgmt/filestore/apiconnect/local/none", 404, []any{"error", 0}, "Resource not found."},
	{"certificates can be listed", "10.0.0.1", "GET /mgmt/filestore/apiconnect/cert", 200, []any{"filestore", "location", "file", "name"}, "tls.key"},
	{"certificates cannot be read", "10.0.0.1", "GET /mgmt/filestore/apiconnect/cert/tls.key", 404, []any{"error", 0}, "Resource not found."},
}

func TestResources(t *testing.T) {
	w := newWire(t)
	alone := func(o *InstanceOptions) { o.Network = HostNetwork{} }
	w.add("10.0.0.1", twoPeerings, alone)
	w.add("10.0.0.2", onePeering, alone)
	w.add("10.0.0.3", "", alone)
	for _, test := range resourceTests {
		t.Run(test.name, func(t *testing.T) {
			answer := w.ask(t, test.address, admin, adminPassword, test.request, "")
			assert.Equal(t, test.status, answer.status)
			assert.Equal(t, test.want, answer.at(test.path...), "%v", answer.body)
		})
	}
}

func TestChanges(t *testing.T) {
	w := newWire(t)
	instance := w.add("10.0.0.1", twoPeerings)
	const gwd = "/mgmt/config/apiconnect/GatewayPeering/gwd"
	tests := []struct {
		name, request, body string
		status              int
		path                []any
		want                any
	}{
		{"a property", "PUT " + gwd + "/Priority", `{"Priority":9}`, 200, []any{"Priority"}, "Property was updated."},
		{"which is there afterwards", "GET " + gwd + "/Priority", ``, 200, []any{"Priority"}, 9.0},
		{"a property that the body does not have", "PUT " + gwd + "/Priority", `{"mAdminState":"enabled"}`, 400, []any{"error", 0}, "Bad request."},
		{"no value for it", "PUT " + gwd + "/mAdminState", `{"mAdminState":"paused"}`, 400, []any{"error", 1}, "invalid value for mAdminState"},
		{"no JSON", "PUT " + gwd + "/mAdminState", `disabled`, 400, []any{"error", 0}, "Bad request."},
		{"an object", "PUT " + gwd, `{"GatewayPeering":{"name":"gwd","UserSummary":"x"}}`, 200, []any{"gwd"}, "Configuration was updated."},
		{"an object of another name", "PUT " + gwd, `{"GatewayPeering":{"name":"x"}}`, 400, []any{"error", 0}, "Bad request."},
		{"no such object", "PUT /mgmt/config/apiconnect/GatewayPeering/none/mAdminState", `{"mAdminState":"enabled"}`, 404, []any{"error", 0}, "Resource not found."},
		{"a class that cannot be changed", "PUT /mgmt/config/default/User/admin", `{}`, 405, []any{"error", 0}, "Method not allowed."},
		{"unsaved changes show", "GET /mgmt/status/default/DomainStatus", ``, 200, []any{"DomainStatus", 1, "SaveNeeded"}, "on"},
		{"saving", "POST /mgmt/actionqueue/apiconnect", `{"SaveConfig":0}`, 200, []any{"SaveConfig"}, "Operation completed."},
		{"shows too", "GET /mgmt/status/default/DomainStatus", ``, 200, []any{"DomainStatus", 1, "SaveNeeded"}, "off"},
		{"a new object", "POST /mgmt/config/apiconnect/GatewayPeering", `{"GatewayPeering":{"name":"new","mAdminState":"disabled"}}`, 201, []any{"new"}, "Configuration was created."},
		{"again", "POST /mgmt/config/apiconnect/GatewayPeering", `{"GatewayPeering":{"name":"new"}}`, 409, []any{"error", 0}, "Resource already exists."},
		{"deleted", "DELETE /mgmt/config/apiconnect/GatewayPeering/new", ``, 200, []any{"new"}, "Configuration was deleted."},
		{"again", "DELETE /mgmt/config/apiconnect/GatewayPeering/new", ``, 404, []any{"error", 0}, "Resource not found."},
		{"two actions at once", "POST /mgmt/actionqueue/apiconnect", `{"SaveConfig":0,"GatewayPeeringReset":0}`, 400, []any{"error", 0}, "Bad request."},
		{"an unknown action; texts are XML-escaped", "POST /mgmt/actionqueue/apiconnect", `{"Dance":0}`, 400, []any{"error", 1}, "The action &#34;Dance&#34; is not available."},
		{"a reset of an unknown peering", "POST /mgmt/actionqueue/apiconnect", `{"GatewayPeeringReset":{"GatewayPeering":"none"}}`, 400, []any{"error", 0}, "Bad request."},
		{"a reset of one peering", "POST /mgmt/actionqueue/apiconnect", `{"GatewayPeeringReset":{"GatewayPeering":"gwd"}}`, 200, []any{"GatewayPeeringReset"}, "Operation completed."},
		{"a reset of all peerings", "POST /mgmt/actionqueue/apiconnect", `{"GatewayPeeringReset":{}}`, 200, []any{"GatewayPeeringReset"}, "Operation completed."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := w.ask(t, "10.0.0.1", admin, adminPassword, test.request, test.body)
			assert.Equal(t, test.status, answer.status, "%v", answer.body)
			assert.Equal(t, test.want, answer.at(test.path...), "%v", answer.body)
		})
	}
	assert.Equal(t, 2, instance.Member("apiconnect", "gwd").Resets())
	assert.Equal(t, 1, instance.Member("apiconnect", "tms").Resets())
}

func TestAccess(t *testing.T) {
	w := newWire(t)
	w.add("10.0.0.1", twoPeerings)
	tests := []struct {
		name, user, password, request, body string
		want                                int
	}{
		{"nobody", "", "", "GET /mgmt/", "", 401},
		{"a wrong password", admin, "wrong", "GET /mgmt/", "", 401},
		{"an unknown user", "mallory", adminPassword, "GET /mgmt/", "", 401},
		{"the hash is no password", admin, "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/", "GET /mgmt/", "", 401},
		{"a watcher reads its domain", watcher, watcherPassword, "GET /mgmt/status/apiconnect/GatewayPeeringStatus", "", 200},
		{"a watcher does not see another", watcher, watcherPassword, "GET /mgmt/status/default/FirmwareVersion3", "", 404},
		{"a watcher changes nothing", watcher, watcherPassword, "PUT /mgmt/config/apiconnect/GatewayPeering/gwd/mAdminState", `{"mAdminState":"disabled"}`, 404},
		{"a watcher runs nothing", watcher, watcherPassword, "POST /mgmt/actionqueue/apiconnect", `{"SaveConfig":0}`, 404},
		{"a user of a group that does not exist sees nothing", "lost", adminPassword, "GET /mgmt/status/apiconnect/GatewayPeeringStatus", "", 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, w.ask(t, "10.0.0.1", test.user, test.password, test.request, test.body).status)
		})
	}
	answer := w.ask(t, "10.0.0.1", watcher, watcherPassword, "GET /mgmt/domains/config/", "")
	assert.Equal(t, "apiconnect", answer.at("domain", "name"), "the only domain that it sees, as an object")
}

func TestPeeringsThatCannotWork(t *testing.T) {
	w := newWire(t)
	w.add("10.0.0.1", `gateway-peering "a"
exit
gateway-peering "b"
exit
gateway-peering "c"
  local-address 127.0.0.1
  local-port 16390
exit
gateway-peering "d"
  admin-state disabled
  local-port 16391
exit
gateway-peering "e"
  no enable-peer-group
exit
`)
	answer := w.ask(t, "10.0.0.1", admin, adminPassword, "GET /mgmt/config/apiconnect/GatewayPeering?state=1", "")
	for i, want := range []string{"", "Failed to install on port", "Invalid local address", "Object is disabled", ""} {
		assert.Equal(t, want, answer.at("GatewayPeering", i, "state", "errorcode"))
	}
	require.Eventually(t, func() bool {
		answer = w.ask(t, "10.0.0.1", admin, adminPassword, "GET /mgmt/status/apiconnect/GatewayPeeringStatus", "")
		return answer.at("GatewayPeeringStatus", 0, "Primary") == "yes" && answer.at("GatewayPeeringStatus", 1, "Primary") == "yes"
	}, quick.Discover*10, quick.Patience/10)
	assert.Equal(t, "a", answer.at("GatewayPeeringStatus", 0, "Name"))
	assert.Equal(t, "e", answer.at("GatewayPeeringStatus", 1, "Name"), "alone, so its own primary")
	assert.Nil(t, answer.at("GatewayPeeringStatus", 2))
}

func TestRestMgmtHasToBeEnabled(t *testing.T) {
	w := newWire(t)
	w.add("10.0.0.1", "", func(o *InstanceOptions) { delete(o.Files, "drouter/config/auto-startup.cfg") })
	_, err := w.Dial(t.Context(), "10.0.0.1:5554")
	require.Error(t, err)
	_, err = w.Dial(t.Context(), "10.0.0.1:16380")
	require.Error(t, err, "nothing listens there either")
}

func TestHealthProbe(t *testing.T) {
	w := newWire(t)
	instance := w.add("10.0.0.1", "")
	probe := func(path string) int {
		conn, err := w.Dial(t.Context(), "10.0.0.1:7879")
		require.NoError(t, err)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gw"+path, nil)
		require.NoError(t, err)
		request.Close = true
		require.NoError(t, request.Write(conn))
		return statusOf(t, conn)
	}
	assert.Equal(t, 200, probe("/"))
	assert.Equal(t, 200, probe("/healthz"))
	instance.SetFaults(Faults{NotReady: true})
	assert.Equal(t, 503, probe("/"))
}
